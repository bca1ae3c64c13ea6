//! One transaction, and the connection under it.
//!
//! Promises that every wait of it ends on our side too, and that its
//! connection is used again only after the server has said how the transaction
//! ended: whatever breaks off between the begin and that answer closes it.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, Error, Executor, PgConnection, Postgres,
    Result, Row,
};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::fault::{
    breaks_off, broken_off, is_refused_login, no_answer, read_only, took_too_long, words,
};
use super::pool::{Patience, Pool};
use super::{Unprepared, pooler_safe};

/// How a transaction begins: with limits on how long it waits for a lock, runs
/// one statement, or is idle. A process that is stopped so loses its locks.
#[derive(Debug, Clone)]
pub struct TxLimits {
    /// In tenths of [`Patience::statement`].
    statement: u32,
    writes: bool,
    settings: Cow<'static, str>,
}

impl TxLimits {
    /// For reading. Compiling a statement takes longer than running one of ours.
    pub const READ: Self = Self {
        statement: 10,
        writes: false,
        settings: Cow::Borrowed("set local random_page_cost = 1.1; set local jit = off;"),
    };

    /// For the begin and the end of a run: durable before the caller
    /// gets an answer, whatever the server is set to.
    pub const CONTROL: Self = Self {
        statement: 5,
        writes: true,
        settings: Cow::Borrowed(
            "set local lock_timeout = '4s';
             set local synchronous_commit = on;",
        ),
    };

    /// For a batch. Its commit does not wait for the disk: a crash of Postgres
    /// may undo the last batches, whole and in order; their run sees it by the
    /// count in its lease, and they are redone. Its settlement waits for the
    /// disk, and with it all that was written before.
    #[must_use]
    pub fn batch(lock_timeout: Duration) -> Self {
        let lock_timeout = lock_timeout.as_millis();
        Self {
            statement: 10,
            writes: true,
            settings: Cow::Owned(format!(
                "set local lock_timeout = {lock_timeout};
                 set local random_page_cost = 1.1;
                 set local synchronous_commit = off;"
            )),
        }
    }

    fn statement(&self, patience: Patience) -> Duration {
        patience.statement * self.statement / 10
    }

    /// One message to the server; its answer is whether that is read-only.
    fn begin(&self, patience: Patience) -> String {
        let limit = self.statement(patience).as_millis();
        let settings = &self.settings;
        format!(
            "begin;
             set local statement_timeout = {limit};
             set local idle_in_transaction_session_timeout = {limit};
             {settings}
             select current_setting('transaction_read_only')"
        )
    }
}

/// A transaction; dropped without [`Transaction::commit`], it is rolled back.
pub struct Transaction {
    /// `None` once it was given back or given up.
    connection: Option<Connection>,
    patience: Patience,
    /// How long one statement may take: somewhat longer than the server allows.
    bound: Duration,
    /// Whether a statement is under way, or one has broken off.
    is_doubtful: bool,
}

/// Begins a transaction within these limits, in one message to the server. A
/// connection that is dead, or leads to a server that is read-only, is left for
/// a new one.
///
/// # Errors
/// When no connection becomes free in time; when the server is read-only and
/// the transaction is to write.
pub async fn begin(pool: &Pool, limits: TxLimits) -> Result<Transaction> {
    let first = begin_once(pool, &limits).await;
    match &first {
        Ok((_, true)) => tracing::info!("Leaving a server that is read-only"),
        Err(Error::PoolTimedOut) => return first.map(|(tx, _)| tx),
        Err(error) if breaks_off(error) || took_too_long(error) => {
            tracing::info!(error = %words(error), "Leaving a connection that did not begin");
        }
        Err(error) if pool.may_change_password() && is_refused_login(error) => {}
        _ => return first.map(|(tx, _)| tx),
    }
    drop(first);
    pool.leave_idle();
    match begin_once(pool, &limits).await? {
        (_, true) if limits.writes => Err(read_only()),
        (tx, _) => Ok(tx.kept()),
    }
}

/// Answers also whether the server is read-only: then the connection is in
/// doubt, until it is kept.
async fn begin_once(pool: &Pool, limits: &TxLimits) -> Result<(Transaction, bool)> {
    let raw = pool.acquire().await?;
    let pool = pool.clone();
    let patience = pool.patience();
    Transaction::begin(Connection::Lent { raw, pool }, patience, limits).await
}

/// Begins a transaction for reading on a connection of its own, whose failure
/// says why; a pool would only say that it took too long.
///
/// # Errors
/// What the database, or the way to it, answered instead.
pub async fn begin_alone(options: PgConnectOptions, patience: Patience) -> Result<Transaction> {
    let options = pooler_safe(options);
    let raw = timeout(patience.acquire, options.connect())
        .await
        .unwrap_or_else(|_| Err(no_answer()))?;
    let begun = Transaction::begin(Connection::Own(raw), patience, &TxLimits::READ).await;
    begun.map(|(tx, _)| tx.kept())
}

impl Transaction {
    async fn begin(
        connection: Connection,
        patience: Patience,
        limits: &TxLimits,
    ) -> Result<(Self, bool)> {
        let statement = limits.statement(patience);
        let mut tx = Self {
            connection: Some(connection),
            patience,
            bound: statement + statement / 5,
            is_doubtful: false,
        };
        let (raw, is_doubtful, _) = tx.begin_statement()?;
        let begin = raw.fetch_all(AssertSqlSafe(limits.begin(patience)));
        let answer = timeout(patience.answer(), begin).await;
        let rows = answer.unwrap_or_else(|_| Err(no_answer()))?;
        let is_read_only = match rows.last() {
            Some(row) => row.try_get::<&str, _>(0)? == "on",
            None => return Err(Error::BeginFailed),
        };
        *is_doubtful = is_read_only;
        Ok((tx, is_read_only))
    }

    fn kept(mut self) -> Self {
        self.is_doubtful = false;
        self
    }

    /// # Errors
    /// When the database refuses; or when the answer did not come, and whether
    /// it was committed is unknown.
    pub async fn commit(mut self) -> Result<()> {
        Unprepared(&mut self).execute("commit").await?;
        if let Some(connection) = self.connection.take() {
            connection.give_back(self.patience, true);
        }
        Ok(())
    }

    /// Waits until it is undone. Where the connection is in doubt, its end
    /// undoes the transaction.
    pub async fn rollback(mut self) {
        let undone = Unprepared(&mut self).execute("rollback").await;
        if undone.is_ok()
            && let Some(connection) = self.connection.take()
        {
            connection.give_back(self.patience, true);
        }
    }

    /// The connection, which is in doubt until the statement has its answer, and
    /// how long that may take.
    pub(super) fn begin_statement(&mut self) -> Result<(&mut PgConnection, &mut bool, Duration)> {
        match &mut self.connection {
            Some(connection) if !self.is_doubtful => {
                self.is_doubtful = true;
                Ok((connection, &mut self.is_doubtful, self.bound))
            }
            _ => Err(broken_off()),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        match self.connection.take() {
            Some(connection) if self.is_doubtful => connection.give_up(),
            Some(connection) => connection.give_back(self.patience, false),
            None => {}
        }
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}

/// Where the statements go.
enum Connection {
    Lent {
        raw: PoolConnection<Postgres>,
        pool: Pool,
    },
    Own(PgConnection),
}

impl Connection {
    /// Closes it without a word, and with it what else leads to that server.
    fn give_up(self) {
        if let Self::Lent { raw, pool } = self {
            drop(raw.detach());
            pool.leave_idle();
        }
    }

    /// Lets it be used again, in time.
    fn give_back(self, patience: Patience, has_ended: bool) {
        let Ok(runtime) = Handle::try_current() else {
            return self.give_up();
        };
        runtime.spawn(async move {
            let (mut connection, bound) = (self, patience.answer());
            let is_usable = has_ended || {
                let undone = timeout(bound, connection.execute("rollback")).await;
                undone.is_ok_and(|undone| undone.is_ok())
            };
            match connection {
                // The pool pings what it takes back, and without a bound
                // (sqlx 0.9.0, launchbadge/sqlx#4349). A ping that is given up
                // closes the connection.
                Self::Lent { mut raw, .. } if is_usable => {
                    drop(timeout(bound, raw.return_to_pool()).await);
                }
                Self::Own(raw) if is_usable => drop(timeout(bound, raw.close()).await),
                broken => broken.give_up(),
            }
        });
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Lent { raw, .. } => raw,
            Self::Own(raw) => raw,
        }
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Lent { raw, .. } => raw,
            Self::Own(raw) => raw,
        }
    }
}
