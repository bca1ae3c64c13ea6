//! Savepoints: a part of a transaction that may fail alone.
//!
//! Promises that what the database refuses of a part costs that part and not
//! the transaction. A part waits for no lock long. Owns no table.

use sqlx::error::DatabaseError;
use sqlx::{Error, Executor, Result};

use super::{Transaction, Unprepared};

const BEGIN: &str = "savepoint part;
     set local lock_timeout = '500ms'";
/// With the lock time-out of [`super::TxLimits::CONTROL`].
const KEEP: &str = "release savepoint part;
     set local lock_timeout = '4s'";
/// The lock time-out from before comes back by itself.
const UNDO: &str = "rollback to savepoint part;
     release savepoint part";

/// Begins a part.
///
/// # Errors
/// When the database is gone.
pub async fn begin_part(db: &mut Transaction) -> Result<()> {
    Unprepared(db).execute(BEGIN).await.map(drop)
}

/// Keeps the part that was `done`, or undoes it when the database refused;
/// answers the refusal.
///
/// # Errors
/// When the database is gone.
pub async fn end_part(
    db: &mut Transaction,
    done: Result<()>,
) -> Result<Option<Box<dyn DatabaseError>>> {
    match done {
        Ok(()) => Unprepared(db).execute(KEEP).await.map(|_| None),
        Err(Error::Database(refusal)) => {
            Unprepared(db).execute(UNDO).await?;
            Ok(Some(refusal))
        }
        Err(error) => Err(error),
    }
}
