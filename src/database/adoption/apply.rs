//! Applies a file: our tables step aside, the host's views take their names,
//! what of ours hangs on them is put on the views, and the contract is checked.
//!
//! All in the caller's transaction, which commits or undoes it.

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Error, Executor};

use super::aside::{hanging, put, put_back, step_aside, step_back};
use super::contract::Port;
use super::file::{File, execute};
use super::record::{self, New};
use super::{Finding, IS_UNSIGNED, contract, rows, shape, trial, trials};
use crate::database::{Fault, MIGRATOR, Schema, Transaction, Unprepared, fault};

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
        if fault(&error) == Fault::Contended {
            Self::InUse
        } else {
            Self::Failed(error)
        }
    }
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Unfit(vec![why])
    }
}

/// Takes the turn that `migrate` takes too, until the transaction ends.
pub(super) async fn take_turn(db: &mut Transaction) -> Result<(), Refusal> {
    // One that is killed must not keep its locks until its statement ends.
    let end = "select set_config(name, '1s', true)
                 from pg_settings
                where name = 'client_connection_check_interval'
                  and version() like '%linux%'";
    Unprepared(db).execute(end).await?;
    let ask = "select pg_try_advisory_xact_lock(hashtextextended('jarvis-cron migrate', 0))";
    if sqlx::query_scalar(ask).fetch_one(Unprepared(db)).await? {
        Ok(())
    } else {
        Err(Refusal::InUse)
    }
}

/// Applies the file, in the place of one that was applied before; answers what is
/// worth a warning. It is not committed.
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
    take_turn(db).await?;
    is_migrated(Unprepared(db)).await?;
    let names: Vec<String> = ports.iter().map(|port| port.name.to_owned()).collect();
    replace(db, schema, &names, actor).await?;
    may_step_aside(db, schema).await?;
    let hanging = hanging(Unprepared(db), &names).await?;
    let foreign_keys = step_aside(db, schema, &names).await?;
    let mut created = execute(db, file).await?;
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
    are_views(Unprepared(db), &adopted, &file.name).await?;
    are_empty(db, &schema.aside(), &adopted).await?;
    let mut findings = shape::check(Unprepared(db)).await?;
    if findings.iter().any(Finding::is_failure) {
        return Err(Refusal::Broken(findings));
    }
    put(db, hanging.iter(), "the host's views").await?;
    for port in ports
        .iter()
        .filter(|port| adopted.iter().any(|name| name == port.name))
    {
        findings.extend(rows::check(db, port, schema).await?);
        findings.extend(trial::check(db, port).await?);
    }
    if findings.iter().any(Finding::is_failure) {
        return Err(Refusal::Broken(findings));
    }
    let sha256 = hex::encode(Sha256::digest(&file.text));
    wait_for_a_signature(Unprepared(db), &adopted).await?;
    created.extend(record::left(Unprepared(db), &adopted).await?);
    let new = New {
        ports: &adopted,
        file_name: &file.name,
        file_sha256: &sha256,
        created: &created,
        foreign_keys: &foreign_keys,
        hanging: &hanging,
        actor,
    };
    record::insert(db, new).await?;
    Ok(findings)
}

/// Until an operator has signed them, the policies that erase the host's
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

/// Our tables need a schema to stand in meanwhile.
async fn may_step_aside(db: &mut Transaction, schema: &Schema) -> Result<(), Refusal> {
    let aside = schema.aside();
    let ask = "select format('role %I may not create the schema %I, in which our own tables stand meanwhile: grant create on database %I to %1$I',
                      current_user, $1, current_database())
                where case
                    when to_regnamespace(quote_ident($1)) is null then not has_database_privilege(current_database(), 'create')
                    else not has_schema_privilege(quote_ident($1), 'create')
                end";
    let why: Option<String> = sqlx::query_scalar(ask)
        .bind(&aside)
        .fetch_optional(Unprepared(db))
        .await?;
    why.map_or(Ok(()), |why| Err(why.into()))
}

/// What has the name of a port can be dropped again, and is no copy.
async fn are_views(db: Unprepared<'_>, ports: &[String], file: &str) -> Result<(), Refusal> {
    let ask = "select relname::text
                 from pg_class
                where relnamespace = current_schema()::regnamespace
                  and relname = any ($1)
                  and relkind <> 'v'
                order by 1";
    let others: Vec<String> = sqlx::query_scalar(ask).bind(ports).fetch_all(db).await?;
    if others.is_empty() {
        return Ok(());
    }
    let why = format!(
        "{file} makes something else than a view of {}",
        others.join(", ")
    );
    Err(why.into())
}

/// Drops what stands for these tables by an earlier file, as `adopt drop` would:
/// the new one takes its place at once.
async fn replace(
    db: &mut Transaction,
    schema: &Schema,
    ports: &[String],
    actor: Option<&str>,
) -> Result<(), Refusal> {
    for earlier in record::adoptions(Unprepared(db)).await? {
        let is_meant = |port: &String| ports.contains(port);
        if !earlier.ports.iter().any(is_meant) {
            continue;
        }
        if let Some(other) = earlier.ports.iter().find(|port| !is_meant(port)) {
            let why = format!(
                "{other} is adopted by {} with them: name it in --ports too, or run jarvis-cron adopt drop before",
                earlier.file_name
            );
            return Err(why.into());
        }
        super::drop(db, schema, &earlier, false, actor).await?;
    }
    let list = ports.join(", ");
    let lock = format!("lock table {list} in access exclusive mode");
    Unprepared(db).execute(AssertSqlSafe(lock)).await?;
    Ok(())
}

/// Whether no rows but those of our own runs would be out of sight.
async fn are_empty(db: &mut Transaction, aside: &str, ports: &[String]) -> Result<(), Refusal> {
    let is_filled_by_runs =
        |port: &&Port| trials::of(port).any(|trial| matches!(trial.does, trials::Does::Insert(..)));
    let ports = contract::PORTS
        .iter()
        .filter(|port| ports.iter().any(|name| name == port.name));
    let mut filled = Vec::new();
    for Port { name, .. } in ports.filter(|port| !is_filled_by_runs(port)) {
        let ask = format!("select exists (select from \"{aside}\".{name})");
        if sqlx::query_scalar(AssertSqlSafe(ask))
            .fetch_one(Unprepared(db))
            .await?
        {
            filled.push(format!(
                "{name} has rows of its own, which would be out of sight: delete them, or leave {name} out of --ports"
            ));
        }
    }
    if filled.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Unfit(filled))
    }
}
