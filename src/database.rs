//! The way to Postgres: the pool, unnamed statements, and what an error means.
//!
//! Promises that every statement works behind a transaction-mode pooler:
//! sent through [`Unnamed`] it leaves no prepared statement behind, and
//! callers send it inside a transaction. Owns no SQL but the settings of a
//! transaction; tables belong to `runs` and `jobs`.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::postgres::{
    PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{Either, Execute, Executor, PgConnection, PgPool, Postgres, SqlStr};

/// Every table of this service, embedded; applied by `migrate`.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// How long a request waits for a connection before the database counts as
/// unreachable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A pool that connects at its first use, so that a database that is away
/// keeps nobody from starting.
#[must_use]
pub fn pool(options: PgConnectOptions, max_connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_mins(1))
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

/// Bounds one transaction: how long it waits for a lock, runs one statement,
/// or lies idle before Postgres ends it. A stopped process so loses its locks.
pub async fn bound(
    connection: &mut PgConnection,
    lock: Duration,
    statement: Duration,
    idle: Duration,
    commit: Commit,
) -> sqlx::Result<()> {
    let milliseconds = |duration: Duration| duration.as_millis().max(1).to_string();
    sqlx::query!(
        "select set_config('lock_timeout', $1, true) as a,
                set_config('statement_timeout', $2, true) as b,
                set_config('idle_in_transaction_session_timeout', $3, true) as c,
                set_config('synchronous_commit', $4, true) as d",
        milliseconds(lock),
        milliseconds(statement),
        milliseconds(idle),
        if commit == Commit::Durable {
            "on"
        } else {
            "off"
        },
    )
    .fetch_one(Unnamed(connection))
    .await?;
    Ok(())
}

/// When a commit may be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// After it is on disk, and with it everything committed before it.
    Durable,
    /// At once. A crash of Postgres may undo it, whole and in order: for
    /// batches, which are redone, and whose run is settled durably.
    Deferred,
}

/// What an error of the database asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody can work now; the same call may pass later.
    Unreachable,
    /// Somebody else held a row; the same call may pass at once.
    Contended,
    /// The data itself is refused; the same call will fail again.
    Data,
    /// A fault of ours.
    Other,
}

/// Reads an error by its SQLSTATE class:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
#[must_use]
pub fn fault(error: &sqlx::Error) -> Fault {
    use sqlx::Error;
    let code = match error {
        Error::Database(database) => database.code().unwrap_or_default(),
        Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::BeginFailed
        | Error::Protocol(_) => return Fault::Unreachable,
        _ => return Fault::Other,
    };
    match code.as_ref() {
        "40001" | "40P01" | "55P03" => Fault::Contended,
        // A read-only answer is a replica that has not been promoted yet.
        "25006" | "25P03" | "57P01" | "57P02" | "57P03" | "57P05" => Fault::Unreachable,
        code if code.starts_with("08") || code.starts_with("53") => Fault::Unreachable,
        code if code.starts_with("22") || code.starts_with("23") || code == "P0001" => Fault::Data,
        _ => Fault::Other,
    }
}

/// A connection that sends every statement unnamed.
///
/// Named statements belong to one server connection, and a transaction-mode
/// pooler hands the next transaction another one.
#[derive(Debug)]
pub struct Unnamed<'c>(pub &'c mut PgConnection);

struct Once<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Once<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(
        &mut self,
    ) -> Result<Option<sqlx::postgres::PgArguments>, sqlx::error::BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

impl<'c> Executor<'c> for Unnamed<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.0.fetch_many(Once(query))
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.0.fetch_optional(Once(query))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.0.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<sqlx::Describe<Postgres>>>
    where
        'c: 'e,
    {
        self.0.describe(sql)
    }
}
