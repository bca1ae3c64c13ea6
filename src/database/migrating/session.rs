//! The session that migrating needs: one server connection that is its own.
//!
//! Promises to find a pooler in transaction mode before anything is set: what
//! is set there stays in a server connection that others use next. Sets nothing.

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Result, Row};

/// How often it looks: other clients of a pooler may be in between.
const ROUNDS: usize = 8;

/// A session, and the process id by which others see it; `None` where the
/// address is that of a pooler in transaction mode.
///
/// # Errors
/// When the database cannot be reached.
pub async fn open(options: &PgConnectOptions) -> Result<Option<(PgConnection, i32)>> {
    let mut session = options.connect().await?;
    let pid = ask(&mut session).await?;
    let mut other = options.connect().await?;
    for round in 0..ROUNDS {
        // Changes whose turn it is: a pooler that hands out what it took back
        // last, or first, would lead both as before, round after round.
        let is_led_on = round % 2 == 1 && ask(&mut session).await? != pid;
        if is_led_on || is_shared(&mut session, &mut other, pid).await? {
            return Ok(None);
        }
    }
    other.close().await?;
    Ok(Some((session, pid)))
}

/// Whether the other connection is led to the server connection `pid`, which
/// the session had; or the session to another, while that one is taken.
async fn is_shared(
    session: &mut PgConnection,
    other: &mut PgConnection,
    before: i32,
) -> Result<bool> {
    other.execute("begin").await?;
    // Asked first: where there is one server connection only, the session waits.
    let is_shared = ask(other).await? == before || ask(session).await? != before;
    other.execute("rollback").await?;
    Ok(is_shared)
}

/// The process id, in one message: a pooler leads the next one elsewhere.
async fn ask(db: &mut PgConnection) -> Result<i32> {
    let row = db.fetch_one("select pg_backend_pid()").await?;
    row.try_get(0)
}
