//! Applies the migrations beside readers and writers, one `migrate` at a time.
//!
//! A statement that waits for the lock of a table has every later reader and
//! writer of that table wait behind it. So each migration waits a moment only
//! ([`Patience`]); where that was not enough it is undone, lets the others pass,
//! and is tried again. Indexes are built concurrently: such a migration keeps
//! no one waiting, and so may wait itself, also longer than the role's
//! `statement_timeout` allows, for each transaction that was open before it.
//!
//! Needs a session of its own ([`session::open`]). Leaves a database that is ahead as it is.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use tokio::time::{Instant, timeout};

use super::obstacles::{Obstacles, Others, obstacles};
use super::{Fault, MIGRATOR, Schema, fault};
use crate::foreign_text::ForeignText;

mod failed;
pub mod session;

pub use failed::Failed;

/// How long until a `migrate` that waits for another asks again.
const TURN_PAUSE: Duration = Duration::from_millis(200);

/// How long the server may take to stop a vacuum of its own for one that waits:
/// its `deadlock_timeout`, one second unless set otherwise, and some more.
const VACUUM_STOPS: &str = "2s";

/// How long a migration waits for what others hold.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For the connection.
    pub connect: Duration,
    /// For one lock, with the others behind it.
    pub for_a_lock: Duration,
    /// Between two tries.
    pub between_tries: Duration,
    /// In all, for one migration; and for another `migrate`.
    pub in_all: Duration,
    /// Until it says what it waits for, and again.
    pub silent: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            // Less than a second, for those behind it.
            for_a_lock: Duration::from_millis(700),
            between_tries: Duration::from_secs(1),
            in_all: Duration::from_mins(10),
            silent: Duration::from_secs(5),
        }
    }
}

/// What `migrate` is about to do.
#[derive(Debug)]
pub enum Step<'a> {
    /// It waits for another `migrate`.
    Wait,
    /// It does so for longer than it is silent; told once.
    WaitsLong,
    /// It applies this one.
    Apply(&'a Migration),
    /// Others hold what this one needs; it was tried so often.
    TryAgain(&'a Migration, u32),
    /// It waits for this session: its process id, and what it is.
    Blocked(i32, ForeignText),
}

/// What `migrate` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// How many migrations it applied.
    pub applied: usize,
    /// Those that the database has and this program does not know.
    pub unknown: Vec<i64>,
    /// The tables and views that it closed to `PUBLIC`.
    pub closed: Vec<String>,
}

/// Applies those of `migrations` that are missing, and tells of each step.
///
/// # Errors
/// When something stands against it, or others hold a lock for too long.
pub async fn apply(
    db: &mut PgConnection,
    migrations: Cow<'static, [Migration]>,
    schema: &Schema,
    others: &Others,
    patience: &Patience,
    tell: impl Fn(Step<'_>),
) -> Result<Migrated, Failed> {
    schema.enter(db).await?;
    db.execute("set statement_timeout = 0").await?;
    take_turn(db, patience, &tell).await?;
    let before = applied(db).await;
    let found = obstacles(&mut *db, schema, &before, others).await?;
    if !found.is_empty() {
        return Err(Obstacles(found).into());
    }
    schema.make(db).await?;
    let migrator = Migrator {
        migrations,
        // What a later version of this program applied is its business.
        ignore_missing: true,
        // Others wait in [`take_turn`]. The host's migrators take sqlx's own lock.
        locking: false,
        table_name: format!("\"{}\".{}", schema.name(), MIGRATOR.table_name).into(),
        ..Migrator::DEFAULT
    };
    for missing in migrator.iter().filter(|it| !before.contains(&it.version)) {
        tell(Step::Apply(missing));
        schema.enter_for(db, missing).await?;
        apply_one(db, &migrator, missing, patience, &tell).await?;
    }
    // Compares those that were there with ours.
    migrator.run(&mut *db).await?;
    let is_unknown = |version: &i64| !migrator.version_exists(*version);
    let after = applied(db).await;
    let mut done = Migrated {
        applied: after.len().saturating_sub(before.len()),
        unknown: after.into_iter().filter(is_unknown).collect(),
        closed: Vec::new(),
    };
    if !others.may_be_exposed {
        done.closed = schema.close(db).await?;
    }
    Ok(done)
}

/// Tells, again and again, for which sessions the session `waiting` waits.
pub async fn tell_blockers(
    options: &PgConnectOptions,
    waiting: i32,
    patience: &Patience,
    tell: impl Fn(Step<'_>),
) -> Infallible {
    loop {
        tokio::time::sleep(patience.silent).await;
        // One that cannot look has nothing to tell.
        if let Ok(Ok(found)) = timeout(patience.connect, blockers(options, waiting)).await {
            for (pid, what) in found {
                tell(Step::Blocked(pid, ForeignText::new(&what)));
            }
        }
    }
}

async fn apply_one(
    db: &mut PgConnection,
    migrator: &Migrator,
    migration: &Migration,
    patience: &Patience,
    tell: impl Fn(Step<'_>),
) -> Result<(), MigrateError> {
    let until = Instant::now() + patience.in_all;
    let for_a_lock = if migration.no_tx {
        patience.in_all
    } else {
        patience.for_a_lock
    };
    let limit = format!("set lock_timeout = {}", for_a_lock.as_millis());
    db.execute(AssertSqlSafe(limit)).await?;
    for tries in 1.. {
        drop_index(db, migration).await?;
        match migrator.run_to(migration.version, &mut *db).await {
            Err(error) if is_in_use(&error) && Instant::now() < until => {
                tell(Step::TryAgain(migration, tries));
                tokio::time::sleep(patience.between_tries).await;
                stop_vacuums(db, migration).await?;
            }
            done => return done,
        }
    }
    Ok(())
}

/// Whether others held what it takes.
fn is_in_use(error: &MigrateError) -> bool {
    matches!(error, MigrateError::ExecuteMigration(error, _) if fault(error) == Fault::Contended)
}

/// The versions on record; a database without our table has none.
async fn applied(db: &mut PgConnection) -> Vec<i64> {
    let applied = db.list_applied_migrations(&MIGRATOR.table_name).await;
    let applied = applied.unwrap_or_default().into_iter();
    applied.map(|migration| migration.version).collect()
}

/// Waits while another `migrate` is at work, until its session ends. Asked again
/// and again: a session that waits in a statement holds a snapshot, which an
/// index that is built concurrently waits for in its turn.
async fn take_turn(
    db: &mut PgConnection,
    patience: &Patience,
    tell: impl Fn(Step<'_>),
) -> sqlx::Result<()> {
    let ask = "select pg_try_advisory_lock(hashtextextended('jarvis-cron migrate', 0))";
    let begun = Instant::now();
    let (until, mut silent_until) = (begun + patience.in_all, Some(begun + patience.silent));
    while !sqlx::query_scalar(ask).fetch_one(&mut *db).await? {
        if Instant::now() >= until {
            let what = "another migrate is at work, or its session is still there";
            return Err(io::Error::new(ErrorKind::TimedOut, what).into());
        }
        tell(Step::Wait);
        if silent_until.take_if(|it| Instant::now() >= *it).is_some() {
            tell(Step::WaitsLong);
        }
        tokio::time::sleep(TURN_PAUSE).await;
    }
    Ok(())
}

/// What it builds concurrently and is there, although the migration is not on
/// record: a try broke off in the middle, or right before the record.
async fn drop_index(db: &mut PgConnection, missing: &Migration) -> sqlx::Result<()> {
    // Built anew, an index stays until another, of this name, takes its place.
    let is_rebuilt = missing.sql.as_str().contains("\nreindex ");
    let ending = if is_rebuilt { "_ccnew" } else { "" };
    for name in names_after(missing, "index concurrently ") {
        let name = name.trim_end_matches(';');
        let drop = format!("drop index concurrently if exists {name}{ending}");
        db.execute(AssertSqlSafe(drop)).await?;
    }
    Ok(())
}

/// Waits for the tables in a way that no reader and no writer waits behind. The
/// server stops a vacuum of its own for one that waits so, and would not for a
/// migration, which gives up before.
async fn stop_vacuums(db: &mut PgConnection, migration: &Migration) -> sqlx::Result<()> {
    for table in names_after(migration, "alter table ") {
        let wait = format!(
            "begin;
             set local lock_timeout = '{VACUUM_STOPS}';
             lock table {table} in share update exclusive mode"
        );
        let waited = db.execute(AssertSqlSafe(wait)).await;
        db.execute("rollback").await?;
        if let Err(error) = waited {
            tracing::debug!(%error, table, "Failed to wait for a table");
        }
    }
    Ok(())
}

/// The names that follow `before` in the statements of a migration.
fn names_after<'a>(
    migration: &'a Migration,
    before: &'static str,
) -> impl Iterator<Item = &'a str> {
    let statements = migration.sql.as_str().lines();
    let statements = statements.filter(|line| !line.starts_with("--"));
    statements.filter_map(move |line| {
        let (_, after) = line.split_once(before)?;
        let mut words = after.split_whitespace();
        words.find(|word| !["if", "not", "exists"].contains(word))
    })
}

/// Looked up by a session of its own: the other is busy waiting.
async fn blockers(options: &PgConnectOptions, waiting: i32) -> sqlx::Result<Vec<(i32, String)>> {
    let mut db = options.connect().await?;
    let found = sqlx::query_as(
        "select pid,
                concat_ws(', ', coalesce(nullif(application_name, ''), backend_type), usename,
                          state || to_char(xact_start, ' \"since\" HH24:MI:SS'))
           from pg_stat_activity
          where pid = any (pg_blocking_pids($1))",
    )
    .bind(waiting)
    .fetch_all(&mut db)
    .await;
    db.close().await?;
    found
}
