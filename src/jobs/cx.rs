//! What a run hands to its job, and how a job is stopped.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Postgres, Transaction};

use super::weekly_reports::links::Links;
use super::{Budget, Fence, Options, Place};
use crate::database::{self, Fault, TxLimits};
use crate::resend::Resend;
use crate::stripe::Stripe;

/// Everything a job may use. There is nothing else.
#[derive(Debug)]
pub struct Cx {
    /// For reading; whatever is written goes through [`Cx::fence`].
    pub db: PgPool,
    /// The moment this run judges by: the database's clock at its begin, or
    /// the moment it replays. Bound into every statement.
    pub now: DateTime<Utc>,
    /// What the caller asked for.
    pub options: Options,
    /// How long new work may begin.
    pub budget: Budget,
    /// Where the run that this one continues stopped, and where this one does.
    pub place: Arc<Place>,
    /// The lease, and the only way to commit.
    pub fence: Fence,
    /// Stripe, with this process's rate limit.
    pub stripe: Stripe,
    /// Resend, with this process's rate limit.
    pub resend: Resend,
    /// What signs links to reports, where there is a secret to sign with.
    pub links: Option<Links>,
}

impl Cx {
    /// The most rows this run may look at: what the runs before it in its
    /// chain have left of the limit.
    pub fn rows_left(&self) -> u64 {
        let before: Option<RowsLeft> = self.place.from();
        before.map_or(self.options.row_limit(), |before| before.rows_left)
    }

    /// Notes that so many were looked at, for a continuation under the same
    /// limit; without a limit there is nothing to note.
    pub fn looked_at(&self, rows: u64) {
        if self.options.limit.is_some() {
            let rows_left = self.rows_left().saturating_sub(rows);
            self.place.leave(&RowsLeft { rows_left });
        }
    }

    /// A transaction for reading; dropped, it is rolled back.
    pub async fn reading(&self) -> Result<Transaction<'static, Postgres>, Stop> {
        database::begin(&self.db, TxLimits::READ)
            .await
            .map_err(during("begin to read"))
    }
}

/// The place of a job that finds its work by the state of its rows.
#[derive(Debug, Serialize, Deserialize)]
struct RowsLeft {
    rows_left: u64,
}

/// Why a job could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Another run holds the lease now; nothing of the open batch was kept.
    #[error("the lease was lost to another run")]
    Fenced,
    /// The database or Stripe cannot be reached; a later call may pass.
    #[error("unreachable: {0:#}")]
    Unreachable(anyhow::Error),
    /// Anything else.
    #[error("{0:#}")]
    Failed(anyhow::Error),
}

impl Stop {
    /// What the database said, when it was the database that stopped us.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unreachable(_) => Fault::Unreachable,
            Self::Fenced => Fault::Other,
            Self::Failed(error) => error
                .downcast_ref::<Refused>()
                .map_or(Fault::Other, |refused| database::fault(&refused.error)),
        }
    }

    /// Whether doing the rows of a batch one by one may tell the good from the
    /// bad.
    #[must_use]
    pub fn is_about_rows(&self) -> bool {
        matches!(self.fault(), Fault::Data | Fault::Contended)
    }

    /// Whether one statement took longer than it may: with fewer rows it may
    /// not.
    #[must_use]
    pub fn took_too_long(&self) -> bool {
        let Self::Unreachable(error) = self else {
            return false;
        };
        error
            .downcast_ref::<Refused>()
            .is_some_and(|refused| database::took_too_long(&refused.error))
    }
}

/// What was being done when the database refused, in one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {}", in_short(error))]
struct Refused {
    what: &'static str,
    error: sqlx::Error,
}

/// Says what was being done when the database refused:
/// `.map_err(during("pick stale orders"))`.
pub fn during(what: &'static str) -> impl FnOnce(sqlx::Error) -> Stop {
    move |error| {
        let unreachable = database::fault(&error) == Fault::Unreachable;
        let error = anyhow::Error::new(Refused { what, error });
        if unreachable {
            Stop::Unreachable(error)
        } else {
            Stop::Failed(error)
        }
    }
}

/// The server's own words, where it had any.
fn in_short(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::PoolTimedOut => "no connection to the database was to be had".to_owned(),
        sqlx::Error::Io(error) => format!("the connection to the database broke off: {error}"),
        error => error.to_string(),
    }
}
