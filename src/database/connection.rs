//! The connection under a transaction: lent by the pool, or of its own.
//!
//! Promises that it goes back to the pool in time or not at all, and that one
//! of which it is not known how its transaction ended is closed.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Executor, PgConnection, Postgres, Result};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::fault::breaks_off;
use super::pool::{Patience, Pool};

/// What is known of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its last statement was answered.
    Sound,
    /// A statement is under way; or its caller went away before the answer.
    Asked,
    /// It failed, and with it what else leads to that server.
    Broken,
}

impl State {
    /// After an answer, or what came instead.
    pub(super) fn after<T>(answer: &Result<T>) -> Self {
        match answer {
            Err(error) if breaks_off(error) => Self::Broken,
            _ => Self::Sound,
        }
    }
}

/// Where the statements go.
pub(super) enum Connection {
    Lent {
        raw: PoolConnection<Postgres>,
        pool: Pool,
    },
    Own(PgConnection),
}

impl Connection {
    /// Closes it without a word, and where it is broken with it what else leads
    /// to that server.
    pub(super) fn give_up(self, is_broken: bool) {
        if let Self::Lent { raw, pool } = self {
            drop(raw.detach());
            if is_broken {
                pool.leave_idle();
            }
        }
    }

    /// Lets it be used again, in time.
    pub(super) fn give_back(self, patience: Patience, has_ended: bool) {
        let Ok(runtime) = Handle::try_current() else {
            return self.give_up(false);
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
                broken => broken.give_up(true),
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
