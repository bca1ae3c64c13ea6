//! What the database says of itself: for `doctor` its migrations, its version
//! and its clock.
//!
//! Reads only. `doctor` reads over a connection of its own, whose failure says
//! why; a pool would only say that it took too long.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Error, Result};

use super::exposure::{Exposed, exposed};
use super::obstacles::{Obstacle, Others, obstacles};
use super::readiness::standing;
use super::{MIGRATOR, Terms, Unprepared, begin_alone};

/// The state of the database.
#[derive(Debug, Clone)]
pub struct Checkup {
    /// Such as `15.18`.
    pub version: String,
    /// Which server and database this is, to tell it from another.
    pub identity: String,
    /// Whether it refuses to be written, as a replica does.
    pub is_read_only: bool,
    /// What our role may not do, such as `insert, update on job_runs`.
    pub rights_missing: Vec<String>,
    /// What its clock showed when it answered.
    pub clock: DateTime<Utc>,
    /// How its tables were made; `None` when our role may not read that.
    pub migrations: Option<Migrations>,
    /// Why the missing ones cannot be applied by this role.
    pub obstacles: Vec<Obstacle>,
    /// The schema that they are in.
    pub schema: String,
    /// Who else can read or write the tables.
    pub exposed: Vec<Exposed>,
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

/// Asks the database; `service` is the role that the service has.
///
/// # Errors
/// What it, or the way to it, answered instead.
pub async fn checkup(options: PgConnectOptions, service: &str, terms: &Terms) -> Result<Checkup> {
    let mut tx = begin_alone(options.clone(), terms).await?;
    let standing = standing(Unprepared(&mut tx)).await?;
    let on_record = if standing.may_read_migrations() {
        Some(applied(Unprepared(&mut tx)).await?)
    } else {
        None
    };
    // A table that is not there ends the transaction.
    tx.rollback().await;
    let mut tx = begin_alone(options, terms).await?;
    let mut obstacles_found = Vec::new();
    if let Some(on_record) = &on_record {
        let versions: Vec<i64> = on_record.iter().map(|it| it.version).collect();
        let others = Others {
            service: service.to_owned(),
            may_be_exposed: false,
            schema_is_named: true,
        };
        let db = Unprepared(&mut tx);
        obstacles_found = obstacles(db, &terms.schema, &versions, &others).await?;
    }
    let exposed = exposed(Unprepared(&mut tx)).await?;
    // Asked last: what the caller compares the clock with is taken right after.
    let server = sqlx::query!(
        r#"
        select current_setting('server_version') as "version!",
               current_database() || ' since ' || pg_postmaster_start_time() as "identity!",
               clock_timestamp() as "clock!"
        "#
    )
    .fetch_one(Unprepared(&mut tx))
    .await?;
    Ok(Checkup {
        version: server.version,
        identity: server.identity,
        is_read_only: standing.is_read_only,
        rights_missing: standing.rights_missing,
        clock: server.clock,
        migrations: on_record.as_deref().map(Migrations::between),
        obstacles: obstacles_found,
        schema: terms.schema.name().to_owned(),
        exposed,
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

/// A migration, as the database has it on record.
pub(super) struct Applied {
    pub(super) version: i64,
    pub(super) success: bool,
    checksum: Vec<u8>,
}

/// The migrations on record; none where there is no record of any.
pub(super) async fn applied(db: Unprepared<'_>) -> Result<Vec<Applied>> {
    let applied = sqlx::query_as!(
        Applied,
        "select version, success, checksum
           from _sqlx_migrations
          order by version"
    )
    .fetch_all(db)
    .await;
    match applied {
        // An answer that there is no such table is an answer.
        Err(Error::Database(error)) if error.code().as_deref() == Some("42P01") => Ok(Vec::new()),
        applied => applied,
    }
}
