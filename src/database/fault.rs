//! What an error of the database means for its caller. Asks the database nothing.

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

/// Whether a statement was canceled for taking longer than the limits of its
/// transaction allow.
#[must_use]
pub fn took_too_long(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.code().as_deref() == Some("57014"))
}
