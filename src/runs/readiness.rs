//! Whether runs could begin: is the database there, and is it ours?

use std::time::Duration;

use sqlx::PgPool;

use super::Runner;
use crate::database::{self, MIGRATOR, TxLimits, Unnamed};

/// How long the database may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What keeps runs from beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// Whether the database answered in time.
    pub database_reached: bool,
    /// How many of our migrations it lacks, when it could say.
    pub migrations_missing: Option<usize>,
}

impl Runner {
    /// Asks the database.
    pub async fn readiness(&self) -> Readiness {
        let away = Readiness {
            database_reached: false,
            migrations_missing: None,
        };
        match tokio::time::timeout(TIMEOUT, applied(&self.db)).await {
            Ok(Ok(applied)) => {
                let missing = MIGRATOR
                    .iter()
                    .filter(|m| !applied.contains(&m.version))
                    .count();
                Readiness {
                    database_reached: true,
                    migrations_missing: Some(missing),
                }
            }
            // An answer that there is no such table is an answer.
            Ok(Err(sqlx::Error::Database(error))) if error.code().as_deref() == Some("42P01") => {
                let missing = MIGRATOR.iter().count();
                Readiness {
                    database_reached: true,
                    migrations_missing: Some(missing),
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database cannot be reached");
                away
            }
            Err(_) => away,
        }
    }
}

async fn applied(db: &PgPool) -> sqlx::Result<Vec<i64>> {
    let mut tx = database::begin(db, TxLimits::READ).await?;
    sqlx::query_scalar!("select version from _sqlx_migrations where success")
        .fetch_all(Unnamed(&mut tx))
        .await
}
