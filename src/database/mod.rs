//! The way to Postgres: the pool, unnamed statements, and what an error means.
//!
//! Promises that every statement works behind a transaction-mode pooler:
//! sent through [`Unprepared`] it leaves no prepared statement behind, and
//! callers send it inside a transaction. Owns no SQL but how a transaction
//! begins; tables belong to `runs` and `jobs`.

use std::borrow::Cow;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use sqlx::postgres::{
    PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{
    AssertSqlSafe, Connection, Either, Execute, Executor, PgConnection, PgPool, Postgres, SqlStr,
    Transaction,
};

pub mod checkup;
pub mod readiness;

/// Every table of this service, embedded; applied by `migrate`.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// How long a connection may have lain idle to be taken without a question.
const FRESH: Duration = Duration::from_secs(1);

/// A pool that connects at its first use, so that a database that is away
/// keeps nobody from starting. A caller waits `acquire_timeout` for a
/// connection before the database counts as unreachable.
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
/// one statement, or lies idle. A process that is stopped so loses its locks.
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

    /// For the begin and the end of a run: durable before anybody hears of it.
    pub const CONTROL: Self = Self(Cow::Borrowed(
        "begin;
         set local lock_timeout = '4s';
         set local statement_timeout = '5s';
         set local idle_in_transaction_session_timeout = '5s'",
    ));

    /// For a batch. Its commit does not wait for the disk: a crash of Postgres
    /// may undo the last batches, whole and in order, and they are redone.
    /// The run's own settlement waits, and with it all that was written before.
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
/// When there is no connection to be had.
pub async fn begin(db: &PgPool, limits: TxLimits) -> sqlx::Result<Transaction<'static, Postgres>> {
    db.begin_with(AssertSqlSafe(limits.0)).await
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
        // A read-only answer is a replica that has not been promoted yet; a
        // statement that took too long (57014) may be quicker later.
        "25006" | "25P03" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" => Fault::Unreachable,
        code if code.starts_with("08") || code.starts_with("53") => Fault::Unreachable,
        code if code.starts_with("22") || code.starts_with("23") || code == "P0001" => Fault::Data,
        _ => Fault::Other,
    }
}

/// Whether a statement was ended for taking longer than its transaction's
/// limits allow.
#[must_use]
pub fn took_too_long(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.code().as_deref() == Some("57014"))
}

/// A connection that sends every statement unnamed.
///
/// Named statements belong to one server connection, and a transaction-mode
/// pooler hands the next transaction another one.
#[derive(Debug)]
pub struct Unprepared<'c>(pub &'c mut PgConnection);

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

impl<'c> Executor<'c> for Unprepared<'c> {
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
