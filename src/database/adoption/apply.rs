//! Applies a file: our tables step aside, the host's views take their names,
//! what of ours hangs on them is put on the views, and the contract is checked.
//!
//! All in the caller's transaction, which commits or undoes it.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Error, Executor};

use super::aside::{hanging, put, put_back, step_aside, step_back};
use super::contract::Port;
use super::file::{File, execute};
use super::record::{self, New};
use super::{Finding, IS_UNSIGNED, rows, shape, trial};
use crate::database::{MIGRATOR, Schema, Transaction, Unprepared};

/// Why nothing was applied.
#[derive(Debug)]
pub enum Refusal {
    /// In one line each: what is in the way, and what to do about it.
    Unfit(Vec<String>),
    /// The contract is not kept.
    Broken(Vec<Finding>),
    /// Others hold what it needs.
    InUse,
    /// The database is gone, or refuses.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let refusal = error.as_database_error();
        match refusal
            .and_then(sqlx::error::DatabaseError::code)
            .as_deref()
        {
            Some("55P03" | "40P01") => Self::InUse,
            _ => Self::Failed(error),
        }
    }
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Unfit(vec![why])
    }
}

/// Takes the turn that `migrate` takes too, until the transaction ends.
pub(super) async fn take_turn(db: Unprepared<'_>) -> Result<(), Refusal> {
    let ask = "select pg_try_advisory_xact_lock(hashtextextended('jarvis-cron migrate', 0))";
    if sqlx::query_scalar(ask).fetch_one(db).await? {
        Ok(())
    } else {
        Err(Refusal::InUse)
    }
}

/// Applies the file; answers what is worth a warning. It is not committed.
///
/// # Errors
/// [`Refusal`]; the transaction is of no more use then.
pub async fn apply(
    db: &mut Transaction,
    schema: &Schema,
    ports: &[&'static Port],
    file: &File,
    actor: Option<&str>,
) -> Result<Vec<Finding>, Refusal> {
    take_turn(Unprepared(db)).await?;
    is_migrated(Unprepared(db)).await?;
    let names: Vec<String> = ports.iter().map(|port| port.name.to_owned()).collect();
    is_free(db, &names).await?;
    let hanging = hanging(Unprepared(db), &names).await?;
    let foreign_keys = step_aside(db, schema, &names).await?;
    let mut created = execute(db, schema, file).await?;
    let adopted = step_back(db, schema, &names).await?;
    let foreign_keys = put_back(db, foreign_keys).await?;
    if adopted.is_empty() {
        let why = format!(
            "{} makes none of the ports: {}",
            file.name,
            names.join(", ")
        );
        return Err(why.into());
    }
    let mut findings = shape::check(Unprepared(db)).await?;
    if findings.iter().any(|it| it.is_failure) {
        return Err(Refusal::Broken(findings));
    }
    put(db, &hanging, "the host's views", |_| false).await?;
    for port in ports
        .iter()
        .filter(|port| adopted.iter().any(|name| name == port.name))
    {
        findings.extend(rows::check(db, port, schema).await?);
        findings.extend(trial::check(db, port).await?);
    }
    if findings.iter().any(|it| it.is_failure) {
        return Err(Refusal::Broken(findings));
    }
    let sha256 = Sha256::digest(&file.text)
        .iter()
        .fold(String::new(), |mut text, byte| {
            // A String takes what is written.
            let _ = write!(text, "{byte:02x}");
            text
        });
    wait_for_a_signature(Unprepared(db), &adopted).await?;
    created.extend(record::left(Unprepared(db), &adopted).await?);
    let new = New {
        ports: &adopted,
        file_name: &file.name,
        file_sha256: &sha256,
        created: &created,
        foreign_keys: &foreign_keys,
        actor,
    };
    record::insert(db, new).await?;
    Ok(findings)
}

/// Until somebody has read what they say, the policies that erase the host's
/// members and their visits for good are off.
async fn wait_for_a_signature(db: Unprepared<'_>, ports: &[String]) -> sqlx::Result<()> {
    let turn_off = format!(
        "update retention_policies p
            set enabled = false,
                updated_at = now()
          where p.enabled
            and p.target = any ($1)
            and {IS_UNSIGNED}"
    );
    sqlx::query(AssertSqlSafe(turn_off))
        .bind(ports)
        .execute(db)
        .await
        .map(drop)
}

async fn is_migrated(db: Unprepared<'_>) -> Result<(), Refusal> {
    let ask = "select array(select version from _sqlx_migrations where success)";
    let applied = sqlx::query_scalar::<_, Vec<i64>>(ask).fetch_one(db).await;
    let applied = applied.unwrap_or_default();
    match MIGRATOR
        .iter()
        .find(|ours| !applied.contains(&ours.version))
    {
        Some(missing) => Err(format!(
            "migration {} is not applied: run jarvis-cron migrate",
            missing.version
        )
        .into()),
        None => Ok(()),
    }
}

/// Whether the tables are ours and empty, so that nothing is lost.
async fn is_free(db: &mut Transaction, ports: &[String]) -> Result<(), Refusal> {
    let views: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
          where oid in (select to_regclass(port) from unnest($1::text[]) as port)
            and relkind <> 'r'",
    )
    .bind(ports)
    .fetch_all(Unprepared(db))
    .await?;
    if !views.is_empty() {
        let why = format!(
            "{} are adopted already: run jarvis-cron adopt drop before",
            views.join(", ")
        );
        return Err(why.into());
    }
    let list = ports.join(", ");
    let lock = format!("lock table {list} in access exclusive mode");
    Unprepared(db).execute(AssertSqlSafe(lock)).await?;
    let mut filled = Vec::new();
    for port in ports {
        let ask = format!("select exists (select from {port})");
        if sqlx::query_scalar(AssertSqlSafe(ask))
            .fetch_one(Unprepared(db))
            .await?
        {
            filled.push(format!(
                "{port} has rows of its own, which would be out of sight: delete them, or leave {port} out of --ports"
            ));
        }
    }
    if filled.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Unfit(filled))
    }
}
