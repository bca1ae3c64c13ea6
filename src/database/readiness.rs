//! Whether runs could begin: is the database there, and is it ours?

use std::time::Duration;

use sqlx::PgPool;

use super::checkup::applied;
use super::{MIGRATOR, TxLimits, Unprepared, begin};

/// How long the database may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How many of our migrations the database lacks; `None` when it does not
/// answer in time.
pub async fn missing_migrations(db: &PgPool) -> Option<usize> {
    let missing = tokio::time::timeout(TIMEOUT, count_missing(db))
        .await
        .ok()?;
    missing
        .inspect_err(|error| tracing::warn!(%error, "Failed to reach the database"))
        .ok()
}

async fn count_missing(db: &PgPool) -> sqlx::Result<usize> {
    let mut tx = begin(db, TxLimits::READ).await?;
    let mut applied = applied(Unprepared(&mut tx)).await?;
    applied.retain(|migration| migration.success);
    let is_missing = |version| applied.iter().all(|migration| migration.version != version);
    Ok(MIGRATOR
        .iter()
        .filter(|ours| is_missing(ours.version))
        .count())
}
