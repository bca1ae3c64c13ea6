//! How migrating ends when it does not succeed: before it wrote anything, or on
//! the way.

use sqlx::migrate::MigrateError;

use crate::database::obstacles::Obstacles;

/// Why it did not.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Before it wrote anything.
    #[error(transparent)]
    Refused(#[from] Obstacles),
    /// On the way.
    #[error(transparent)]
    Broke(#[from] MigrateError),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Broke(error.into())
    }
}
