//! The way to Postgres: the pool, and what a transaction promises.
//!
//! Promises that every statement works behind a transaction-mode pooler:
//! sent through [`Unprepared`] it leaves no prepared statement behind, and
//! callers send it inside a transaction. Owns no table.

use chrono::{DateTime, Utc};
use sqlx::Postgres;
use sqlx::postgres::{PgArguments, PgConnectOptions};
use sqlx::query::Query;

pub mod adoption;
pub mod checkup;
mod connection;
pub mod drift;
pub mod exposure;
mod fault;
pub mod migrating;
pub mod names;
pub mod obstacles;
mod pool;
pub mod readiness;
mod relay;
mod savepoint;
mod schema;
mod transaction;
mod unprepared;

pub use fault::{Fault, fault, took_too_long};
pub use pool::{PasswordFile, Patience, Pool, Terms};
pub use savepoint::{begin_part, end_part};
pub use schema::Schema;
pub use transaction::{Transaction, TxLimits, begin, begin_alone, begin_alone_within};
pub use unprepared::Unprepared;

/// Every table of this service, embedded; applied by `migrate`.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// Connection options that a transaction-mode pooler accepts: no start-up
/// parameter it does not know and no cache of named statements.
#[must_use]
pub fn pooler_safe(options: PgConnectOptions) -> PgConnectOptions {
    options
        .application_name("jarvis-cron")
        .extra_float_digits(None)
        .statement_cache_capacity(0)
}

/// Executes one statement in a transaction of its own; answers how many rows
/// it wrote.
///
/// # Errors
/// When the database refuses, or no connection becomes free in time.
pub async fn execute(
    db: &Pool,
    limits: TxLimits,
    statement: Query<'_, Postgres, PgArguments>,
) -> sqlx::Result<u64> {
    let mut tx = begin(db, limits).await?;
    let written = statement.execute(Unprepared(&mut tx)).await?;
    tx.commit().await?;
    Ok(written.rows_affected())
}

/// The moment it is, on the database's clock.
///
/// # Errors
/// When the database cannot be read.
pub async fn now(db: Unprepared<'_>) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#)
        .fetch_one(db)
        .await
}
