//! Tries on one row what our statements do to a port, and undoes it: each write
//! is there when it is read again, is that of one row, and of one that is locked.

use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Error, Executor, Result};

use super::Finding;
use super::contract::Port;
use super::lock::{self, Locked};
use super::shape::place;
use super::trials::{self, Does, Trial};
use crate::database::{Fault, Transaction, Unprepared, fault};

/// Tries everything on that port; notes what no row fits.
pub(super) async fn check(db: &mut Transaction, port: &Port) -> Result<Vec<Finding>> {
    let (locked, mut findings) = lock::check(db, port).await?;
    let mut untried = Vec::new();
    for trial in trials::of(port) {
        let tried = undone(db, async |db| attempt(db, port, trial, &locked).await).await?;
        match tried {
            Ok(Some(found)) => findings.extend(found),
            Ok(None) => untried.push(trial.name),
            Err(refusal) => {
                let what = format!(
                    "does not take a write ({}): {}",
                    trial.name,
                    refusal.message()
                );
                let fix = "let the trigger of the file take it; try again: jarvis-cron adopt check";
                findings.push(Finding::failure(port.name, what, fix));
            }
        }
    }
    if !untried.is_empty() {
        let what = format!("not tried, for no row is so by now: {}", untried.join("; "));
        let fix = "run adopt check again once there is one";
        findings.push(Finding::note(port.name, what, fix));
    }
    Ok(findings)
}

/// Does something and undoes it; answers what the database refused of it. That
/// others hold what it needs says nothing of the port, and is an error.
pub(super) async fn undone<T>(
    db: &mut Transaction,
    something: impl AsyncFnOnce(&mut Transaction) -> Result<T>,
) -> Result<Result<T, Box<dyn DatabaseError>>> {
    Unprepared(db).execute("savepoint trial").await?;
    let done = something(db).await;
    let undo = "rollback to savepoint trial; release savepoint trial";
    Unprepared(db).execute(undo).await?;
    match done {
        Err(error) if fault(&error) == Fault::Contended => Err(error),
        Err(Error::Database(refusal)) => Ok(Err(refusal)),
        done => Ok(Ok(done?)),
    }
}

/// Writes one row and reads it again; `None` where no row can be written so.
async fn attempt(
    db: &mut Transaction,
    port: &Port,
    trial: &Trial,
    locked: &Locked,
) -> Result<Option<Vec<Finding>>> {
    let Some(row) = pick(db, port, trial, locked).await? else {
        return Ok(None);
    };
    let name = port.name;
    let before = written(Unprepared(db)).await?;
    let write = AssertSqlSafe(statement(port, trial));
    let reached = sqlx::query(write)
        .bind(&row)
        .execute(Unprepared(db))
        .await?;
    if reached.rows_affected() == 0 {
        let what = format!("a write reached no row ({})", trial.name);
        let fix = "let the trigger of the file return new (old, for a delete) where it wrote";
        return Ok(Some(vec![Finding::failure(name, what, fix)]));
    }
    let mut findings = Vec::from_iter(traces(db, port, trial, locked, &before).await?);
    let (read, columns) = read_again(port, trial);
    let read = sqlx::query_scalar::<_, Vec<Option<bool>>>(AssertSqlSafe(read));
    let kept = read.bind(&row).fetch_one(Unprepared(db)).await?;
    let lost = columns
        .iter()
        .zip(kept)
        .filter(|(_, kept)| *kept != Some(true));
    findings.extend(lost.map(|(column, _)| {
        let what = format!("reads otherwise than it was written ({})", trial.name);
        let fix = "keep it in a table of the file's where the host has no column for it";
        Finding::failure(place(port, column), what, fix)
    }));
    Ok(Some(findings))
}

/// A row to try on, which others do not hold; an insert needs none.
async fn pick(
    db: &mut Transaction,
    port: &Port,
    trial: &Trial,
    locked: &Locked,
) -> Result<Option<String>> {
    if matches!(trial.does, Does::Insert(..)) {
        return Ok(Some(String::new()));
    }
    let (key, name, on) = (port.key, port.name, trial.on);
    let held = if matches!(locked, Locked::Not) {
        ""
    } else {
        "for update skip locked"
    };
    let pick = format!("select {key}::text from {name} where {on} limit 1 {held}");
    sqlx::query_scalar(AssertSqlSafe(pick))
        .fetch_optional(Unprepared(db))
        .await
}

/// How many rows this transaction has written, by table.
async fn written(db: Unprepared<'_>) -> Result<Vec<(String, i64)>> {
    sqlx::query_as(
        "select oid::regclass::text, rows
           from pg_class
          cross join lateral (
              select pg_stat_get_xact_tuples_inserted(oid) + pg_stat_get_xact_tuples_updated(oid)
                     + pg_stat_get_xact_tuples_deleted(oid) as rows
          ) written
          where relkind = 'r'
            and rows > 0",
    )
    .fetch_all(db)
    .await
}

/// What is wrong with the rows that a write of one row has written.
async fn traces(
    db: &mut Transaction,
    port: &Port,
    trial: &Trial,
    locked: &Locked,
    before: &[(String, i64)],
) -> Result<Option<Finding>> {
    let mut after = written(Unprepared(db)).await?;
    for (table, rows) in &mut after {
        let earlier = before.iter().find(|(it, _)| it == table);
        *rows -= earlier.map_or(0, |(_, rows)| *rows);
    }
    after.retain(|(_, rows)| *rows > 0);
    if after.is_empty() {
        let what = format!("a write wrote nothing ({})", trial.name);
        let fix = "let the trigger of the file write what it is told";
        return Ok(Some(Finding::failure(port.name, what, fix)));
    }
    let Locked::Rows(bases) = locked else {
        return Ok(None);
    };
    let own: Vec<_> = after
        .iter()
        .filter(|(table, _)| bases.iter().any(|base| base.name == *table))
        .collect();
    let is_locked = |table: &str| {
        bases
            .iter()
            .any(|base| base.name == table && base.is_locked)
    };
    if let Some((table, rows)) = own
        .iter()
        .find(|(table, rows)| is_locked(table) && *rows > 1)
    {
        let what = format!(
            "a write of one row writes {rows} rows of {table} ({})",
            trial.name
        );
        let fix = "let the trigger write the row of old only";
        return Ok(Some(Finding::failure(port.name, what, fix)));
    }
    if own.is_empty() || own.iter().any(|(table, _)| is_locked(table)) {
        return Ok(None);
    }
    let what = format!(
        "a row of {} is written that was not locked through it ({})",
        own[0].0, trial.name
    );
    Ok(Some(Finding::failure(port.name, what, lock::FIX)))
}

fn is_the_row(port: &Port) -> String {
    let columns = port.columns.iter();
    let kind = columns
        .filter(|column| column.name == port.key)
        .map(|column| column.kind);
    let kind = kind.collect::<String>();
    format!("{} = $1::text::{kind}", port.key)
}

fn statement(port: &Port, trial: &Trial) -> String {
    let (name, row, on) = (port.name, is_the_row(port), trial.on);
    match trial.does {
        Does::Set(kept, told) => {
            let columns = kept.iter().chain(told);
            let set = joined(columns.map(|(column, value)| format!("\"{column}\" = {value}")));
            format!("update {name} set {set} where {row} and {on}")
        }
        Does::Delete => format!("delete from {name} where {row}"),
        Does::Insert(kept, told) => {
            let columns = || kept.iter().chain(told);
            let names = joined(columns().map(|(column, _)| format!("\"{column}\"")));
            let values = joined(columns().map(|(_, value)| (*value).to_owned()));
            format!("insert into {name} ({names}) select {values} where $1::text is not null")
        }
    }
}

/// Asks which of those columns are as they were written.
fn read_again(port: &Port, trial: &Trial) -> (String, Vec<&'static str>) {
    let (name, row) = (port.name, is_the_row(port));
    let is_so =
        |(column, value): &(&str, &str)| format!("\"{column}\" is not distinct from {value}");
    match trial.does {
        Does::Set(kept, _) => {
            let are_so = joined(kept.iter().map(|it| format!("bool_or({})", is_so(it))));
            let read = format!("select array[{are_so}]::boolean[] from {name} where {row}");
            (read, kept.iter().map(|(column, _)| *column).collect())
        }
        Does::Delete => {
            let read = format!("select array[count(*) = 0] from {name} where {row}");
            (read, vec![port.key])
        }
        Does::Insert(kept, _) => {
            let are_so = kept.iter().map(is_so).collect::<Vec<_>>().join(" and ");
            let read = format!(
                "select array[count(*) = 1] from {name} where {are_so} and $1::text is not null"
            );
            (read, vec![port.key])
        }
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
