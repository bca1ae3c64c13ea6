//! Applies the migrations beside readers and writers: one `migrate` at a time,
//! and no lock is waited for long.
//!
//! A statement that waits for the lock of a table has every later reader and
//! writer of that table wait behind it. So each migration waits a moment only
//! ([`Patience`]); where that was not enough it is undone, lets the others pass,
//! and is tried again. Indexes are built concurrently: such a migration keeps
//! nobody waiting, and so may wait itself.
//!
//! Needs a session of its own, past a pooler. A database that is ahead of this
//! program is left as it is.

use std::borrow::Cow;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tokio::time::Instant;

use super::MIGRATOR;

/// How long until a `migrate` that waits for another asks again.
const TURN_PAUSE: Duration = Duration::from_millis(200);

/// How long a migration waits for what others hold.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For one lock, with the others behind it.
    pub for_a_lock: Duration,
    /// Between two tries.
    pub between_tries: Duration,
    /// In all.
    pub in_all: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            // Less than a second, for those behind it.
            for_a_lock: Duration::from_millis(700),
            between_tries: Duration::from_secs(1),
            in_all: Duration::from_mins(10),
        }
    }
}

/// What `migrate` is about to do.
#[derive(Debug)]
pub enum Step<'a> {
    /// It applies this one.
    Apply(&'a Migration),
    /// Others hold what this one needs; it was tried so often.
    TryAgain(&'a Migration, u32),
}

/// What `migrate` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Migrated {
    /// How many migrations it applied.
    pub applied: usize,
    /// Those that the database has and this program does not know.
    pub unknown: Vec<i64>,
}

/// Applies the missing migrations; `tell` is told of each step.
///
/// # Errors
/// When the database refuses, or others hold a lock for longer than
/// `patience` lasts.
pub async fn apply(
    db: &mut PgConnection,
    patience: &Patience,
    tell: impl Fn(Step<'_>),
) -> Result<Migrated, MigrateError> {
    take_turn(db).await?;
    drop_broken_indexes(db).await?;
    let migrator = Migrator {
        migrations: Cow::Borrowed(&*MIGRATOR.migrations),
        // What a later version of this program applied is its business.
        ignore_missing: true,
        ..Migrator::DEFAULT
    };
    let before = applied(db).await;
    for missing in migrator.iter().filter(|it| !before.contains(&it.version)) {
        tell(Step::Apply(missing));
        apply_one(db, &migrator, missing, patience, &tell).await?;
    }
    // Compares those that were there with ours.
    migrator.run(&mut *db).await?;
    let is_unknown = |version: &i64| !MIGRATOR.version_exists(*version);
    let after = applied(db).await;
    Ok(Migrated {
        applied: after.len().saturating_sub(before.len()),
        unknown: after.into_iter().filter(is_unknown).collect(),
    })
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
        Duration::ZERO // for ever
    } else {
        patience.for_a_lock
    };
    let limit = format!("set lock_timeout = {}", for_a_lock.as_millis());
    db.execute(AssertSqlSafe(limit)).await?;
    for tries in 1.. {
        match migrator.run_to(migration.version, &mut *db).await {
            Err(error) if is_in_use(&error) && Instant::now() < until => {
                tell(Step::TryAgain(migration, tries));
                tokio::time::sleep(patience.between_tries).await;
                if migration.no_tx {
                    drop_broken_indexes(db).await?;
                }
            }
            done => return done,
        }
    }
    Ok(())
}

/// Whether others held what it takes.
fn is_in_use(error: &MigrateError) -> bool {
    let MigrateError::ExecuteMigration(sqlx::Error::Database(error), _) = error else {
        return false;
    };
    matches!(error.code().as_deref(), Some("55P03" | "40P01"))
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
async fn take_turn(db: &mut PgConnection) -> sqlx::Result<()> {
    let ask = "select pg_try_advisory_lock(hashtextextended('jarvis-cron migrate', 0))";
    while !sqlx::query_scalar(ask).fetch_one(&mut *db).await? {
        tokio::time::sleep(TURN_PAUSE).await;
    }
    Ok(())
}

/// An index that was being built beside its readers and writers when `migrate`
/// broke off is there, cannot be used, and takes the name of the next try.
async fn drop_broken_indexes(db: &mut PgConnection) -> sqlx::Result<()> {
    let broken: Vec<(String, String)> = sqlx::query_as(
        "select c.relname, format('drop index concurrently %I.%I', n.nspname, c.relname)
           from pg_index i
           join pg_class c on c.oid = i.indexrelid
           join pg_namespace n on n.oid = c.relnamespace
          where not i.indisvalid
            and n.nspname = current_schema()",
    )
    .fetch_all(&mut *db)
    .await?;
    let ours = |name: &str| {
        let mut concurrent = MIGRATOR.iter().filter(|migration| migration.no_tx);
        concurrent.any(|migration| migration.sql.as_str().contains(name))
    };
    for (name, drop) in broken {
        if ours(&name) {
            db.execute(AssertSqlSafe(drop)).await?;
        }
    }
    Ok(())
}
