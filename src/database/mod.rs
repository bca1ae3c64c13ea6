//! The way to Postgres: the pool, and how a transaction begins.
//!
//! Promises that every statement works behind a transaction-mode pooler:
//! sent through [`Unprepared`] it leaves no prepared statement behind, and
//! callers send it inside a transaction. Owns no table.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, PgPool, Postgres, Transaction};

pub mod checkup;
pub mod drift;
mod fault;
pub mod migrating;
mod savepoint;
mod unprepared;

pub use fault::{Fault, fault, took_too_long};
pub use savepoint::{begin_part, end_part};
pub use unprepared::Unprepared;

/// Every table of this service, embedded; applied by `migrate`.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// How long a connection may have been idle to be used without a ping.
const FRESH: Duration = Duration::from_secs(1);

/// A pool that connects at its first use, so that the process starts although
/// the database is away. A caller waits `acquire_timeout` for a connection
/// before the database counts as unreachable.
#[must_use]
pub fn pool(options: PgConnectOptions, max_connections: u32, acquire_timeout: Duration) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(acquire_timeout)
        .idle_timeout(Duration::from_mins(1))
        // Asking a connection whether it lives costs a round trip; one that
        // was used a moment ago does.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < FRESH || connection.ping().await.is_ok()) })
        })
        .connect_lazy_with(pooler_safe(options))
}

/// Connection options that a transaction-mode pooler accepts: no start-up
/// parameter it does not know and no cache of named statements.
#[must_use]
pub fn pooler_safe(options: PgConnectOptions) -> PgConnectOptions {
    options
        .application_name("jarvis-cron")
        .extra_float_digits(None)
        .statement_cache_capacity(0)
}

/// How a transaction begins: with limits on how long it waits for a lock, runs
/// one statement, or is idle. A process that is stopped so loses its locks.
#[derive(Debug, Clone)]
pub struct TxLimits(Cow<'static, str>);

impl TxLimits {
    /// For reading. Compiling a statement takes longer than running one of ours.
    pub const READ: Self = Self(Cow::Borrowed(
        "begin;
         set local statement_timeout = '20s';
         set local random_page_cost = 1.1;
         set local jit = off;
         set local idle_in_transaction_session_timeout = '20s'",
    ));

    /// For the begin and the end of a run: durable before the caller
    /// gets an answer, whatever the server is set to.
    pub const CONTROL: Self = Self(Cow::Borrowed(
        "begin;
         set local lock_timeout = '4s';
         set local statement_timeout = '5s';
         set local idle_in_transaction_session_timeout = '5s';
         set local synchronous_commit = on",
    ));

    /// For a batch. Its commit does not wait for the disk: a crash of Postgres
    /// may undo the last batches, whole and in order; their run sees it by the
    /// count in its lease, and they are redone. Its settlement waits for the
    /// disk, and with it all that was written before.
    #[must_use]
    pub fn batch(lock_timeout: Duration) -> Self {
        let lock_timeout = lock_timeout.as_millis();
        Self(Cow::Owned(format!(
            "begin;
             set local lock_timeout = {lock_timeout};
             set local statement_timeout = '20s';
             set local random_page_cost = 1.1;
             set local idle_in_transaction_session_timeout = '15s';
             set local synchronous_commit = off"
        )))
    }
}

/// Begins a transaction within these limits, in one message to the server.
///
/// # Errors
/// When no connection becomes free in time.
pub async fn begin(db: &PgPool, limits: TxLimits) -> sqlx::Result<Transaction<'static, Postgres>> {
    db.begin_with(AssertSqlSafe(limits.0)).await
}

/// Executes one statement in a transaction of its own; answers how many rows
/// it wrote.
///
/// # Errors
/// When the database refuses, or no connection becomes free in time.
pub async fn execute(
    db: &PgPool,
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
