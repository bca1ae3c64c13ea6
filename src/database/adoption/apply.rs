//! Applies a file: our tables step aside, the host's views take their names,
//! what of ours hangs on them is put on the views, and the contract is checked.
//!
//! All in the caller's transaction, which commits or undoes it.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use sqlx::postgres::PgErrorPosition;
use sqlx::{AssertSqlSafe, Error, Executor};

use super::contract::Port;
use super::record::{self, Created, New};
use super::{Finding, rows, shape, snapshot, trial};
use crate::database::{MIGRATOR, Schema, Transaction, Unprepared};

/// A file that makes views.
#[derive(Debug)]
pub struct File {
    /// Its name, for the record.
    pub name: String,
    /// SQL, whose names without a schema are ours.
    pub text: String,
}

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
        match error
            .as_database_error()
            .and_then(|it| it.code())
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
    match sqlx::query_scalar(ask).fetch_one(db).await? {
        true => Ok(()),
        false => Err(Refusal::InUse),
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
    for statement in &hanging {
        let put = Unprepared(db)
            .execute(AssertSqlSafe(statement.as_str()))
            .await;
        put.map_err(|error| {
            not_put(&error, statement).map_or_else(|| error.into(), Refusal::from)
        })?;
    }
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

/// Our views and functions that look at these tables, as statements that put
/// them on whatever has these names then.
pub(super) async fn hanging(db: Unprepared<'_>, ports: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select distinct case
                    when d.classid = 'pg_proc'::regclass then pg_get_functiondef(d.objid)
                    else format('create or replace view %s as %s', r.ev_class::regclass, pg_get_viewdef(r.ev_class))
                end
           from pg_depend d
           left join pg_rewrite r
             on d.classid = 'pg_rewrite'::regclass
            and r.oid = d.objid
          where d.refclassid = 'pg_class'::regclass
            and d.refobjid in (select to_regclass(port) from unnest($1::text[]) as port)
            and (d.classid = 'pg_proc'::regclass or r.ev_class <> d.refobjid)",
    )
    .bind(ports)
    .fetch_all(db)
    .await
}

fn not_put(error: &Error, statement: &str) -> Option<String> {
    let message = error.as_database_error()?.message();
    let what = statement
        .split_whitespace()
        .skip(3)
        .take(2)
        .collect::<Vec<_>>()
        .join(" ");
    Some(format!(
        "{what} of ours does not stand on the views: {message}"
    ))
}

/// Lets the tables stand in a schema of their own, and answers the foreign keys
/// that led to them or from them, as statements.
async fn step_aside(
    db: &mut Transaction,
    schema: &Schema,
    ports: &[String],
) -> sqlx::Result<Vec<String>> {
    let aside = schema.aside();
    let keys: Vec<(String, String)> = sqlx::query_as(
        "select format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)),
                format('alter table %s drop constraint %I', conrelid::regclass, conname)
           from pg_constraint
          where contype = 'f'
            and array[conrelid, confrelid] && (select array_agg(to_regclass(port)::oid) from unnest($1::text[]) as port)
          order by 1",
    )
    .bind(ports)
    .fetch_all(Unprepared(db))
    .await?;
    let create = format!("create schema if not exists \"{aside}\"");
    Unprepared(db).execute(AssertSqlSafe(create)).await?;
    for (_, away) in &keys {
        Unprepared(db).execute(AssertSqlSafe(away.as_str())).await?;
    }
    for port in ports {
        let away = format!("alter table {port} set schema \"{aside}\"");
        Unprepared(db).execute(AssertSqlSafe(away)).await?;
    }
    Ok(keys.into_iter().map(|(back, _)| back).collect())
}

/// Runs the file, and answers what it created.
async fn execute(
    db: &mut Transaction,
    schema: &Schema,
    file: &File,
) -> Result<Vec<Created>, Refusal> {
    let name = &file.name;
    if let Some(line) = file.text.lines().position(ends_transaction) {
        return Err(format!(
            "{name}, line {}: the file runs in one transaction, and may not end it",
            line + 1
        )
        .into());
    }
    let before = snapshot::take(Unprepared(db)).await?;
    let ran = Unprepared(db)
        .execute(AssertSqlSafe(file.text.as_str()))
        .await;
    ran.map_err(|error| file_error(&error, file).map_or_else(|| error.into(), Refusal::from))?;
    // Whatever the file has set.
    let reset = format!("set local search_path = {}", schema.search_path());
    Unprepared(db).execute(AssertSqlSafe(reset)).await?;
    let found = before.compare(db).await?;
    if !found.changed.is_empty() {
        let changed = found.changed.join(", ");
        let why = format!(
            "{name} may only create tables, views, functions, triggers and indexes, for no drop could undo the rest; it changes, or creates, {changed}"
        );
        return Err(why.into());
    }
    Ok(found.created)
}

fn ends_transaction(line: &str) -> bool {
    let line = line.trim().to_lowercase();
    let words = ["begin", "start transaction", "commit", "rollback", "abort"];
    line.strip_suffix(';')
        .is_some_and(|rest| words.contains(&rest.trim_end()))
}

/// What is wrong with the file, and where.
fn file_error(error: &Error, file: &File) -> Option<String> {
    let error = error.as_database_error()?;
    if error.code().as_deref() == Some("55P03") {
        return None;
    }
    let error = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    let line = match error.position() {
        Some(PgErrorPosition::Original(at)) => {
            let before = file.text.chars().take(at.saturating_sub(1));
            format!(", line {}", 1 + before.filter(|c| *c == '\n').count())
        }
        _ => String::new(),
    };
    let (name, message) = (&file.name, error.message());
    let hint = error.hint().or(error.detail()).map(|it| format!(" ({it})"));
    Some(format!(
        "{name}{line}: {message}{}",
        hint.unwrap_or_default()
    ))
}

/// Lets those of which the file made no view come back, and gives the rights on
/// the others to the views; answers the names of these.
async fn step_back(
    db: &mut Transaction,
    schema: &Schema,
    ports: &[String],
) -> sqlx::Result<Vec<String>> {
    let aside = schema.aside();
    let mut adopted = Vec::new();
    for port in ports {
        let ask = "select to_regclass($1) is not null";
        if sqlx::query_scalar(ask)
            .bind(port)
            .fetch_one(Unprepared(db))
            .await?
        {
            adopted.push(port.clone());
        } else {
            let back = format!(
                "alter table \"{aside}\".{port} set schema \"{}\"",
                schema.name()
            );
            Unprepared(db).execute(AssertSqlSafe(back)).await?;
        }
    }
    let grants: Vec<String> = sqlx::query_scalar(
        "select distinct format('grant %s on %s to %s', given.privilege_type, port,
                       case when given.grantee = 0 then 'public' else given.grantee::regrole::text end)
           from unnest($1::text[]) as port
           join pg_class c
             on c.oid = to_regclass(format('%I.%I', $2, port))
          cross join lateral aclexplode(c.relacl) given
          where given.grantee <> c.relowner",
    )
    .bind(&adopted)
    .bind(aside)
    .fetch_all(Unprepared(db))
    .await?;
    for grant in grants {
        Unprepared(db).execute(AssertSqlSafe(grant)).await?;
    }
    Ok(adopted)
}

/// Adds the foreign keys between tables that are there, and answers the others.
async fn put_back(db: &mut Transaction, keys: Vec<String>) -> sqlx::Result<Vec<String>> {
    let mut others = Vec::new();
    for key in keys {
        Unprepared(db).execute("savepoint key").await?;
        match Unprepared(db).execute(AssertSqlSafe(key.as_str())).await {
            Ok(_) => Unprepared(db).execute("release savepoint key").await?,
            Err(Error::Database(_)) => {
                others.push(key);
                Unprepared(db).execute("rollback to savepoint key").await?
            }
            Err(error) => return Err(error),
        };
    }
    Ok(others)
}
