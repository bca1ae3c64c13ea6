//! What stops a job, and what the database said when it did.

use crate::database::{self, Fault};
use crate::foreign_text::ForeignText;

/// Why a job could not continue.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Another run holds the lease now; nothing of the open batch was kept.
    #[error("another run has taken the lease: see what that run did")]
    Fenced,
    /// The database crashed and came back without batches that this run had
    /// committed; nothing of the open one was kept.
    #[error("the database crashed and lost batches of this run: the next call does them again")]
    Lost,
    /// The database or Stripe cannot be reached; a later call may pass.
    #[error("unreachable, try again later: {0:#}")]
    Unreachable(anyhow::Error),
    /// Anything else.
    #[error("{0:#}")]
    Failed(anyhow::Error),
}

impl JobError {
    /// What failed, and what was being done.
    pub(super) fn failed(what: &'static str, error: impl Into<anyhow::Error>) -> Self {
        Self::Failed(error.into().context(what))
    }

    /// Something that did not answer in time.
    pub(super) fn unreachable(what: &'static str) -> Self {
        Self::Unreachable(anyhow::Error::msg(what))
    }

    /// The same as words.
    #[must_use]
    pub fn words(&self) -> ForeignText {
        ForeignText::new(&self.to_string())
    }

    /// What the database said, when it was the database that stopped us.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unreachable(_) => Fault::Unreachable,
            Self::Fenced | Self::Lost => Fault::Other,
            Self::Failed(error) => error
                .downcast_ref::<Refused>()
                .map_or(Fault::Other, |refused| database::fault(&refused.error)),
        }
    }

    /// Whether doing the rows of a batch one by one may separate the good from
    /// the bad.
    #[must_use]
    pub fn is_about_rows(&self) -> bool {
        matches!(self.fault(), Fault::Data | Fault::Contended)
    }

    /// Whether this item was the trouble, and others may be done without it.
    #[must_use]
    pub fn may_pass_without_it(&self) -> bool {
        self.is_about_rows() || self.took_too_long()
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
#[error("{what}: {}", cause(error))]
struct Refused {
    what: &'static str,
    error: sqlx::Error,
}

/// Says what was being done when the database refused:
/// `.map_err(context("pick stale orders"))`.
pub fn context(what: &'static str) -> impl FnOnce(sqlx::Error) -> JobError {
    move |error| {
        let unreachable = database::fault(&error) == Fault::Unreachable;
        let error = anyhow::Error::new(Refused { what, error });
        if unreachable {
            JobError::Unreachable(error)
        } else {
            JobError::Failed(error)
        }
    }
}

/// The server's own words, where it sent any: they may quote a row.
fn cause(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => ForeignText::new(error.message()).into(),
        sqlx::Error::PoolTimedOut => {
            "no connection in time: check that the database answers, or raise DATABASE_MAX_CONNECTIONS".to_owned()
        }
        sqlx::Error::Io(error) => format!("the way to the database failed: {error}"),
        error => ForeignText::new(&error.to_string()).into(),
    }
}
