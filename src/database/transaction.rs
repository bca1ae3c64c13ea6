//! One transaction, and the connection under it.
//!
//! Promises that every wait of it ends on our side too, and that its
//! connection is used again only after the server has said how the transaction
//! ended: whatever breaks off between the begin and that answer closes it.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Error, Executor, PgConnection, Result, Row};
use tokio::time::timeout;

use super::connection::{Connection, State};
use super::fault::{breaks_off, broken_off, is_refused_login, no_answer, took_too_long, words};
use super::pool::{Patience, Pool, Terms};
use super::schema::Schema;
use super::{Unprepared, pooler_safe};

/// How a transaction begins: with limits on how long it waits for a lock, runs
/// one statement, or is idle. A process that is stopped so loses its locks.
#[derive(Debug, Clone)]
pub struct TxLimits {
    /// In tenths of [`Patience::statement`].
    statement: u32,
    settings: Cow<'static, str>,
}

impl TxLimits {
    /// For reading. Compiling a statement takes longer than running one of ours.
    pub const READ: Self = Self {
        statement: 10,
        settings: Cow::Borrowed(
            "set local lock_timeout = '4s';
             set local random_page_cost = 1.1;
             set local jit = off;",
        ),
    };

    /// For the begin and the end of a run: durable before the caller
    /// gets an answer, whatever the server is set to.
    pub const CONTROL: Self = Self {
        statement: 5,
        settings: Cow::Borrowed(
            "set local lock_timeout = '4s';
             set local synchronous_commit = on;",
        ),
    };

    /// For the adoption of a database: indexes are built in it, but no lock of
    /// the host's tables is waited for long.
    pub const ADOPTION: Self = Self {
        statement: 600,
        settings: Cow::Borrowed(
            "set local lock_timeout = '3s';
             set local client_min_messages = warning;
             set local jit = off;",
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
    ///
    /// Where tables are, how moments are written and which snapshot a statement
    /// sees is the same in each: a pooler may drop what a connection asks for at
    /// its start, and the role or the database may be set to something else.
    fn begin(&self, patience: Patience, schema: &Schema) -> String {
        let limit = self.statement(patience).as_millis();
        let search_path = schema.search_path();
        let settings = &self.settings;
        format!(
            "begin isolation level read committed;
             set local search_path = {search_path};
             set local datestyle = 'ISO, MDY';
             set local intervalstyle = 'postgres';
             set local timezone = 'UTC';
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
    state: State,
}

/// Begins a transaction within these limits, in one message to the server. A
/// connection that is dead, or leads to a server that is read-only, is left for
/// a new one; where that is read-only too, it can be read.
///
/// # Errors
/// When no connection becomes free in time.
pub async fn begin(pool: &Pool, limits: TxLimits) -> Result<Transaction> {
    let first = begin_once(pool, &limits).await;
    match &first {
        Ok((_, true)) => tracing::info!("Leaving a server that is read-only"),
        Err(Error::PoolTimedOut) => return Err(pool.refusal().await),
        Err(error) if is_refused_login(error) && !pool.may_change_password() => {
            return first.map(|(tx, _)| tx);
        }
        Err(error) if breaks_off(error) || took_too_long(error) => {
            tracing::info!(error = %words(error), "Leaving a connection that did not begin");
        }
        _ => return first.map(|(tx, _)| tx),
    }
    drop(first);
    match begin_once(pool, &limits).await {
        Err(Error::PoolTimedOut) => Err(pool.refusal().await),
        second => second.map(|(tx, _)| tx.kept()),
    }
}

/// Answers also whether the server is read-only: then the connection counts as
/// broken, until it is kept.
async fn begin_once(pool: &Pool, limits: &TxLimits) -> Result<(Transaction, bool)> {
    let raw = pool.acquire().await?;
    let pool = pool.clone();
    let (patience, schema) = (pool.patience(), pool.schema().clone());
    Transaction::begin(Connection::Lent { raw, pool }, patience, &schema, limits).await
}

/// Begins a transaction for reading on a connection of its own, whose failure
/// says why; a pool would only say that it took too long.
///
/// # Errors
/// What the database, or the way to it, answered instead.
pub async fn begin_alone(options: PgConnectOptions, terms: &Terms) -> Result<Transaction> {
    begin_alone_within(options, terms, &TxLimits::READ).await
}

/// The same within these limits.
///
/// # Errors
/// What the database, or the way to it, answered instead.
pub async fn begin_alone_within(
    options: PgConnectOptions,
    terms: &Terms,
    limits: &TxLimits,
) -> Result<Transaction> {
    let options = pooler_safe(options);
    let Terms { schema, patience } = terms;
    let raw = timeout(patience.acquire, options.connect())
        .await
        .unwrap_or_else(|_| Err(no_answer()))?;
    let begun = Transaction::begin(Connection::Own(raw), *patience, schema, limits).await;
    begun.map(|(tx, _)| tx.kept())
}

impl Transaction {
    async fn begin(
        connection: Connection,
        patience: Patience,
        schema: &Schema,
        limits: &TxLimits,
    ) -> Result<(Self, bool)> {
        let statement = limits.statement(patience);
        let mut tx = Self {
            connection: Some(connection),
            patience,
            bound: statement + statement / 5,
            state: State::Sound,
        };
        let (raw, state, _) = tx.begin_statement()?;
        let begin = raw.fetch_all(AssertSqlSafe(limits.begin(patience, schema)));
        let answer = timeout(patience.answer(), begin).await;
        *state = State::Broken;
        let rows = answer.unwrap_or_else(|_| Err(no_answer()))?;
        let is_read_only = match rows.last() {
            Some(row) => row.try_get::<&str, _>(0)? == "on",
            None => return Err(Error::BeginFailed),
        };
        if !is_read_only {
            *state = State::Sound;
        }
        Ok((tx, is_read_only))
    }

    fn kept(mut self) -> Self {
        self.state = State::Sound;
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
    pub(super) fn begin_statement(&mut self) -> Result<(&mut PgConnection, &mut State, Duration)> {
        match &mut self.connection {
            Some(connection) if self.state == State::Sound => {
                self.state = State::Asked;
                Ok((connection, &mut self.state, self.bound))
            }
            _ => Err(broken_off()),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        match self.connection.take() {
            Some(connection) if self.state == State::Sound => {
                connection.give_back(self.patience, false);
            }
            Some(connection) => connection.give_up(self.state == State::Broken),
            None => {}
        }
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
