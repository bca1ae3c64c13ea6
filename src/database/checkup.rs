//! What the database says of itself, for `doctor`: which tables it has, and
//! what time it is there.
//!
//! Reads only, over a connection of its own, whose failure says why; a pool
//! would only say that it took too long.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Result};

use super::{MIGRATOR, Unprepared, pooler_safe};

/// How the database stands.
#[derive(Debug, Clone)]
pub struct Checkup {
    /// Such as `15.18`.
    pub version: String,
    /// Which server and database this is, to tell it from another.
    pub identity: String,
    /// Whether it refuses to be written, as a replica does.
    pub is_read_only: bool,
    /// What its clock showed when it answered.
    pub clock: DateTime<Utc>,
    /// How its tables were made.
    pub migrations: Migrations,
}

/// The migrations that it and this program do not agree on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrations {
    /// Those it lacks.
    pub missing: Vec<i64>,
    /// Those that this program does not know: it is older than the database.
    pub unknown: Vec<i64>,
    /// Those that were changed after they had been applied, or broke off.
    pub different: Vec<i64>,
}

/// Asks the database.
///
/// # Errors
/// What it, or the way to it, said instead.
pub async fn checkup(options: PgConnectOptions) -> Result<Checkup> {
    let mut connection = pooler_safe(options).connect().await?;
    let applied = match applied(&mut connection).await {
        // An answer that there is no such table is an answer.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => Vec::new(),
        applied => applied?,
    };
    let mut tx = connection.begin().await?;
    // Asked last: what the caller compares it with is taken right after.
    let said = said(Unprepared(&mut tx)).await?;
    let migrations = Migrations::between(&applied);
    Ok(Checkup {
        version: said.version,
        identity: said.identity,
        is_read_only: said.is_read_only,
        clock: said.clock,
        migrations,
    })
}

impl Migrations {
    fn between(applied: &[Applied]) -> Self {
        let mut found = Self::default();
        for ours in MIGRATOR.iter() {
            match applied.iter().find(|theirs| theirs.version == ours.version) {
                None => found.missing.push(ours.version),
                Some(theirs) if !theirs.success || theirs.checksum != *ours.checksum => {
                    found.different.push(ours.version);
                }
                Some(_) => {}
            }
        }
        let is_ours = |version: i64| MIGRATOR.iter().any(|ours| ours.version == version);
        let versions = applied.iter().map(|theirs| theirs.version);
        found.unknown = versions.filter(|version| !is_ours(*version)).collect();
        found
    }
}

struct Applied {
    version: i64,
    success: bool,
    checksum: Vec<u8>,
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<Applied>> {
    let mut tx = connection.begin().await?;
    sqlx::query_as!(
        Applied,
        "select version, success, checksum
           from _sqlx_migrations
          order by version"
    )
    .fetch_all(Unprepared(&mut tx))
    .await
}

struct Said {
    version: String,
    identity: String,
    is_read_only: bool,
    clock: DateTime<Utc>,
}

async fn said(db: Unprepared<'_>) -> Result<Said> {
    sqlx::query_as!(
        Said,
        r#"
        select current_setting('server_version') as "version!",
               current_database() || ' since ' || pg_postmaster_start_time() as "identity!",
               current_setting('transaction_read_only') = 'on' as "is_read_only!",
               clock_timestamp() as "clock!"
        "#
    )
    .fetch_one(db)
    .await
}
