//! `migrate`: brings the tables up to date.

use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Args;
use sqlx::Connection;
use sqlx::postgres::PgConnectOptions;
use tokio::time::timeout;

use super::doctor::explained;
use super::{Usage, println, progress};
use crate::config::Settings;
use crate::database::migrating::{self, Failed, Migrated, Patience, Step, session};
use crate::database::obstacles::Others;
use crate::database::{MIGRATOR, Schema, pooler_safe};

/// The options of `migrate`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Migrate although other roles get rights to the tables.
    ///
    /// Default privileges may say so; the tables hold personal data and what
    /// the jobs do.
    #[arg(long)]
    allow_exposed: bool,
}

const POOLED: &str = "nothing was changed, because the address leads through a pooler in transaction mode, \
                      and migrate needs a session: set DATABASE_DIRECT_URL to an address past it";

/// Applies the missing migrations and prints how many.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn migrate(settings: &Settings, typed: &Arguments) -> anyhow::Result<ExitCode> {
    let waiting = progress::waiting("waiting for the database");
    let tell = |step: Step<'_>| match step {
        Step::Wait => waiting.set_message("waiting for another migrate"),
        Step::WaitsLong => waiting.suspend(|| eprintln!("waiting for another migrate")),
        Step::Apply(it) => {
            waiting.set_message(format!("applying {} {}", it.version, it.description));
        }
        Step::TryAgain(it, tries) => waiting.suspend(|| {
            eprintln!(
                "{} {}: others hold what it needs, so it let them pass; try {}",
                it.version,
                it.description,
                tries + 1,
            );
        }),
        Step::Blocked(pid, what) => waiting.suspend(|| {
            eprintln!(
                "waiting for the transaction of session {pid} ({what}); \
                 to end it: select pg_terminate_backend({pid})"
            );
        }),
    };
    let database = settings.database()?;
    let patience = Patience {
        connect: database.terms.patience.acquire,
        ..Patience::default()
    };
    let others = Others {
        service: database.options.get_username().to_owned(),
        may_be_exposed: typed.allow_exposed,
        schema_is_named: settings.named_schema()?.is_some(),
    };
    let schema = database.terms.schema;
    let migrated = run(database.direct, &schema, &others, &patience, tell).await;
    waiting.finish_and_clear();
    let migrated = migrated?;
    let (applied, all) = (migrated.applied, MIGRATOR.iter().count());
    println(format_args!("{applied} migrations applied, {all} in all"));
    if let Some(newest) = migrated.unknown.iter().max() {
        let unknown = migrated.unknown.len();
        println(format_args!(
            "the database is ahead of this program: it has {unknown} migrations that this version does not know, {newest} the newest; they stay as they are"
        ));
    }
    if !migrated.closed.is_empty() {
        println(format_args!(
            "revoked from PUBLIC: all rights to {}",
            migrated.closed.join(", ")
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Applies the missing migrations in this schema; returns how many.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn apply(options: PgConnectOptions, schema: &Schema) -> anyhow::Result<usize> {
    let others = Others::default();
    let migrated = run(options, schema, &others, &Patience::default(), |_| {}).await?;
    Ok(migrated.applied)
}

/// Applies the missing migrations as patiently as that, and tells of each step.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn run(
    options: PgConnectOptions,
    schema: &Schema,
    others: &Others,
    patience: &Patience,
    tell: impl Fn(Step<'_>),
) -> anyhow::Result<Migrated> {
    let options = pooler_safe(options);
    let opened = timeout(patience.connect, session::open(&options)).await;
    let opened = opened
        .context("the database does not answer")?
        .map_err(|error| {
            let (what, fix) = explained(&error);
            anyhow!("{what}; {fix}")
        })?;
    let Some((mut db, session)) = opened else {
        return Err(Usage(POOLED.into()).into());
    };
    let applied = tokio::select! {
        applied = migrating::apply(&mut db, MIGRATOR.migrations.clone(), schema, others, patience, &tell) => applied,
        never = migrating::tell_blockers(&options, session, patience, &tell) => match never {},
    };
    let applied = match applied {
        Err(Failed::Refused(obstacles)) => return Err(Usage(obstacles.to_string()).into()),
        applied => applied,
    };
    let migrated = applied.context("apply the migrations")?;
    // Not worth a failure, nor a wait: the server ends the session of one that is gone.
    drop(timeout(patience.connect, db.close()).await);
    Ok(migrated)
}
