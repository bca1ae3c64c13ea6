//! The session that migrating needs: one server connection that is its own.
//!
//! Promises to find a pooler in transaction mode before anything is set: what
//! is set there stays in a server connection that others use next. Sets nothing.

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Result, Row};

/// How often it looks: other clients of a pooler may be in between.
const ROUNDS: usize = 3;

/// A session, and the process id by which others see it; `None` where the
/// address is that of a pooler in transaction mode.
///
/// # Errors
/// When the database cannot be reached.
pub async fn open(options: &PgConnectOptions) -> Result<Option<(PgConnection, i32)>> {
    let mut session = options.connect().await?;
    let pid = pid(&mut session).await?;
    let mut other = options.connect().await?;
    for _ in 0..ROUNDS {
        if is_shared(&mut session, &mut other, pid).await? {
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
    let is_shared = pid(other).await? == before || pid(session).await? != before;
    other.execute("rollback").await?;
    Ok(is_shared)
}

/// In one message: a pooler leads the next one elsewhere.
async fn pid(db: &mut PgConnection) -> Result<i32> {
    let row = db.fetch_one("select pg_backend_pid()").await?;
    row.try_get(0)
}
