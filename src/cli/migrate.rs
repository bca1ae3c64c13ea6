//! `migrate`: brings the tables up to date.

use std::process::ExitCode;

use anyhow::Context;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::progress;
use crate::config::Settings;
use crate::database::{MIGRATOR, migrating, pooler_safe};

/// Applies the missing migrations and prints how many.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn migrate(settings: &Settings) -> anyhow::Result<ExitCode> {
    let waiting = progress::waiting("applying migrations");
    let applied = apply(settings.database()?.direct).await?;
    waiting.finish_and_clear();
    println!(
        "{applied} migrations applied, {} in all",
        MIGRATOR.iter().count()
    );
    Ok(ExitCode::SUCCESS)
}

/// Applies the missing migrations; returns how many.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn apply(options: PgConnectOptions) -> anyhow::Result<usize> {
    let mut connection = pooler_safe(options)
        .connect()
        .await
        .context("connect to the database")?;
    migrating::take_turn(&mut connection)
        .await
        .context("wait for another migrate")?;
    migrating::drop_broken_indexes(&mut connection)
        .await
        .context("drop the indexes that an earlier try left unfinished")?;
    let before = count(&mut connection).await;
    MIGRATOR.run(&mut connection).await.context(
        "apply the migrations (behind a transaction-mode pooler, set DATABASE_DIRECT_URL to an address past it)",
    )?;
    let after = count(&mut connection).await;
    connection.close().await.context("close the connection")?;
    Ok(after.saturating_sub(before))
}

/// How many are applied; a database without our table has none.
async fn count(connection: &mut PgConnection) -> usize {
    use sqlx::migrate::Migrate;
    connection
        .list_applied_migrations("_sqlx_migrations")
        .await
        .map_or(0, |applied| applied.len())
}
