//! The pool: connections that are lent to one transaction each.
//!
//! Promises that every wait for one ends, that one which was given up is never
//! lent again, and that the idle neighbours of one that broke off are closed with
//! it: they lead to the same server. The password may change while the process lives.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Error, PgPool, Postgres};
use tokio::time::timeout;

use super::fault::no_answer;
use super::pooler_safe;
use super::relay::{Relay, relayed};
use super::schema::Schema;
use crate::foreign_text;

/// How long a connection may have been idle to be used without a ping.
const FRESH: Duration = Duration::from_secs(1);

/// Bytes of a file that may be a password: a token of a cloud has some thousand.
const LONGEST_PASSWORD: u64 = 16 * 1024;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until a connection is there.
    pub acquire: Duration,
    /// One statement of a batch; [`super::TxLimits`] says how that counts for others.
    pub statement: Duration,
}

impl Patience {
    /// For an answer that costs the server nothing.
    pub(super) fn answer(self) -> Duration {
        self.acquire / 2
    }
}

/// What holds for every transaction.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Where our tables are.
    pub schema: Schema,
    /// How long it may take.
    pub patience: Patience,
}

/// A file that holds the password of the next connection.
#[derive(Debug, Clone)]
pub struct PasswordFile(PathBuf);

impl PasswordFile {
    /// The file at `path`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self(path.into())
    }

    /// What it holds now, without the end of its line.
    ///
    /// # Errors
    /// When it cannot be read, or holds no password: one that is being written
    /// may be empty for a moment.
    pub fn read(&self) -> io::Result<String> {
        let mut text = String::new();
        let mut file = File::open(&self.0)?.take(LONGEST_PASSWORD + 1);
        let length = file.read_to_string(&mut text)?;
        let password = text.trim_end_matches(['\r', '\n']);
        if password.is_empty() || password.contains('\0') || length as u64 > LONGEST_PASSWORD {
            return Err(io::Error::new(ErrorKind::InvalidData, "holds no password"));
        }
        Ok(password.to_owned())
    }
}

/// Connections to one database; clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    connections: PgPool,
    options: PgConnectOptions,
    password: Option<PasswordFile>,
    /// What it held when it was read last, which no word of others may show.
    last_password: Mutex<SecretString>,
    terms: Terms,
    /// Who asks why there is no connection.
    asking: tokio::sync::Mutex<()>,
    _relay: Option<Relay>,
}

impl Pool {
    /// A pool that connects at its first use, so that the process starts
    /// although the database is away. The file `password` is read again before a
    /// connection is made.
    #[must_use]
    pub fn new(
        options: PgConnectOptions,
        password: Option<PasswordFile>,
        max_connections: u32,
        terms: Terms,
    ) -> Self {
        let patience = terms.patience;
        let (options, relay) = relayed(pooler_safe(options), patience.acquire);
        let connections = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(patience.acquire)
            .idle_timeout(Duration::from_mins(1))
            // Asking a connection whether it lives costs a round trip; one that
            // was used a moment ago does.
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                Box::pin(async move {
                    if meta.idle_for < FRESH {
                        return Ok(true);
                    }
                    // Given up with an error: a polite close could wait as well.
                    match timeout(patience.answer() / 2, connection.ping()).await {
                        Ok(Ok(())) => Ok(true),
                        Ok(Err(error)) => Err(error),
                        Err(_) => Err(no_answer()),
                    }
                })
            })
            .connect_lazy_with(options.clone());
        Self(Arc::new(Shared {
            connections,
            options,
            password,
            last_password: Mutex::default(),
            terms,
            asking: tokio::sync::Mutex::default(),
            _relay: relay,
        }))
    }

    /// How long things may take.
    #[must_use]
    pub fn patience(&self) -> Patience {
        self.0.terms.patience
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.0.terms.schema
    }

    /// Whether a password that is refused may have been replaced meanwhile.
    pub(super) fn may_change_password(&self) -> bool {
        self.0.password.is_some()
    }

    pub(super) async fn acquire(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        if self.0.connections.num_idle() == 0 {
            self.read_password();
        }
        self.0.connections.acquire().await
    }

    /// Why no connection came in time: a pool would only say that none did, so
    /// one caller at a time makes one of its own.
    pub(super) async fn refusal(&self) -> Error {
        let Ok(_turn) = self.0.asking.try_lock() else {
            return Error::PoolTimedOut;
        };
        let options = self.0.connections.connect_options();
        match timeout(self.patience().answer() / 5, options.connect()).await {
            Ok(Err(error)) => error,
            Ok(Ok(connection)) => {
                drop(connection.close_hard().await);
                Error::PoolTimedOut
            }
            Err(_) => no_answer(),
        }
    }

    /// Closes what is idle.
    pub(super) fn leave_idle(&self) {
        while let Some(connection) = self.0.connections.try_acquire() {
            drop(connection.detach());
        }
    }

    /// Without the file, the last password stays.
    fn read_password(&self) {
        let Some(file) = &self.0.password else {
            return;
        };
        match file.read() {
            Ok(password) => {
                let mut former = self.0.last_password.lock();
                if former.expose_secret() != password {
                    foreign_text::hide_instead_of(former.expose_secret(), &password);
                    *former = password.as_str().into();
                }
                let options = self.0.options.clone().password(&password);
                self.0.connections.set_connect_options(options);
            }
            Err(error) => tracing::warn!(%error, "Failed to read DATABASE_PASSWORD_FILE"),
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}
