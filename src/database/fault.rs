//! What an error of the database means for its caller, and for the connection
//! it came by. Asks the database nothing.

use std::io::{self, ErrorKind};

use sqlx::Error;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::foreign_text::ForeignText;

/// What an error of the database asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The database cannot work now; the same call may pass later.
    Unreachable,
    /// Another transaction held a row; the same call may pass at once.
    Contended,
    /// The data itself is refused; the same call will fail again.
    Data,
    /// A fault of ours.
    Other,
}

/// Reads an error by its SQLSTATE class:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
#[must_use]
pub fn fault(error: &Error) -> Fault {
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
        // A login that is refused: the password is being replaced.
        code if ["08", "28", "53", "58"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            Fault::Unreachable
        }
        code if ["22", "23", "27", "44", "45", "P0"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            Fault::Data
        }
        _ => Fault::Other,
    }
}

/// Whether a statement was canceled for taking longer than the limits of its
/// transaction allow.
#[must_use]
pub fn took_too_long(error: &Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.code().as_deref() == Some("57014"))
}

/// Whether the connection that said so is not to be used again: it broke off or
/// ends with these words, leads to a server that is going, gone or read-only, or is inside a
/// transaction of which we know nothing.
pub(super) fn breaks_off(error: &Error) -> bool {
    let Error::Database(answer) = error else {
        return true;
    };
    // A server or a pooler that ends the connection says so in many codes.
    let severity = answer.try_downcast_ref().map(PgDatabaseError::severity);
    matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic))
        || matches!(answer.code().as_deref(), Some("25006" | "25P02"))
}

/// Whether user or password were refused.
pub(super) fn is_refused_login(error: &Error) -> bool {
    let answer = error.as_database_error();
    answer.is_some_and(|error| error.code().is_some_and(|code| code.starts_with("28")))
}

/// An error for the log: the server may quote a row or a name.
pub(super) fn words(error: &Error) -> ForeignText {
    ForeignText::new(&error.to_string())
}

/// The way to the database is silent.
pub(super) fn no_answer() -> Error {
    Error::Io(io::Error::new(ErrorKind::TimedOut, "no answer in time"))
}

/// A statement on a connection that was given up.
pub(super) fn broken_off() -> Error {
    let what = "an earlier statement broke off";
    Error::Io(io::Error::new(ErrorKind::NotConnected, what))
}
