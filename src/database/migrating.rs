//! Before migrations are applied: one `migrate` at a time, and nothing left of
//! one that broke off.
//!
//! Needs a session of its own, past a pooler. Applies no migration.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor, PgConnection};

use super::MIGRATOR;

/// How long until a `migrate` that waits for another asks again.
const TURN_PAUSE: Duration = Duration::from_millis(200);

/// Waits while another `migrate` is at work, until its session ends. Asked again
/// and again: a session that waits in a statement holds a snapshot, which an
/// index that is built concurrently waits for in its turn.
///
/// # Errors
/// When the database cannot be read.
pub async fn take_turn(connection: &mut PgConnection) -> sqlx::Result<()> {
    let ask = "select pg_try_advisory_lock(hashtextextended('jarvis-cron migrate', 0))";
    while !sqlx::query_scalar(ask).fetch_one(&mut *connection).await? {
        tokio::time::sleep(TURN_PAUSE).await;
    }
    Ok(())
}

/// An index that was being built beside its readers and writers when `migrate`
/// broke off is there, cannot be used, and takes the name of the next try.
///
/// # Errors
/// When the database refuses.
pub async fn drop_broken_indexes(connection: &mut PgConnection) -> sqlx::Result<()> {
    let broken: Vec<(String, String)> = sqlx::query_as(
        "select c.relname, format('drop index concurrently %I.%I', n.nspname, c.relname)
           from pg_index i
           join pg_class c on c.oid = i.indexrelid
           join pg_namespace n on n.oid = c.relnamespace
          where not i.indisvalid
            and n.nspname = current_schema()",
    )
    .fetch_all(&mut *connection)
    .await?;
    let ours = |name: &str| {
        let mut concurrent = MIGRATOR.iter().filter(|migration| migration.no_tx);
        concurrent.any(|migration| migration.sql.as_str().contains(name))
    };
    for (name, drop) in broken {
        if ours(&name) {
            connection.execute(AssertSqlSafe(drop)).await?;
        }
    }
    Ok(())
}
