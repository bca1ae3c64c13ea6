//! Tries on one row what our statements do to a port, and undoes it: the row is
//! locked, and each write is there when it is read again.

use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Error, Executor, Result};

use super::Finding;
use super::contract::Port;
use super::shape::place;
use super::trials::{self, Does, Trial};
use crate::database::{Transaction, Unprepared};

/// Tries everything on that port; on a port without rows nothing.
pub(super) async fn check(db: &mut Transaction, port: &Port) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if port.is_locked {
        findings.extend(lock(db, port).await?);
    }
    for trial in trials::of(port) {
        let tried = undone(db, async |db| attempt(db, port, trial).await).await?;
        findings.extend(tried.unwrap_or_else(|refusal| {
            let what = format!(
                "does not take a write ({}): {}",
                trial.name,
                refusal.message()
            );
            let fix = "let the trigger of the file take it; try again: jarvis-cron adopt check";
            vec![Finding::failure(port.name, what, fix)]
        }));
    }
    Ok(findings)
}

/// Does something and undoes it; answers what the database refused of it.
pub(super) async fn undone<T>(
    db: &mut Transaction,
    something: impl AsyncFnOnce(&mut Transaction) -> Result<T>,
) -> Result<Result<T, Box<dyn DatabaseError>>> {
    Unprepared(db).execute("savepoint trial").await?;
    let done = something(db).await;
    let done = match done {
        Err(Error::Database(refusal)) => Err(refusal),
        done => Ok(done?),
    };
    let undo = "rollback to savepoint trial; release savepoint trial";
    Unprepared(db).execute(undo).await?;
    Ok(done)
}

/// Writes one row and reads it again.
async fn attempt(db: &mut Transaction, port: &Port, trial: &Trial) -> Result<Vec<Finding>> {
    let name = port.name;
    let mut row = None;
    if !matches!(trial.does, Does::Insert(..)) {
        let pick = format!(
            "select {}::text from {name} where {} limit 1",
            port.key, trial.on
        );
        row = sqlx::query_scalar::<_, String>(AssertSqlSafe(pick))
            .fetch_optional(Unprepared(db))
            .await?;
        if row.is_none() {
            return Ok(Vec::new());
        }
    }
    let row = row.unwrap_or_default();
    let write = AssertSqlSafe(statement(port, trial));
    let written = sqlx::query(write)
        .bind(&row)
        .execute(Unprepared(db))
        .await?;
    if written.rows_affected() == 0 {
        let what = format!("a write reached no row ({})", trial.name);
        let fix = "let the trigger of the file return new (old, for a delete) where it wrote";
        return Ok(vec![Finding::failure(name, what, fix)]);
    }
    let (read, columns) = read_again(port, trial);
    let read = sqlx::query_scalar::<_, Vec<Option<bool>>>(AssertSqlSafe(read));
    let kept = read.bind(&row).fetch_one(Unprepared(db)).await?;
    let lost = columns
        .iter()
        .zip(kept)
        .filter(|(_, kept)| *kept != Some(true));
    Ok(lost
        .map(|(column, _)| {
            let what = format!("reads otherwise than it was written ({})", trial.name);
            let fix = "keep it in a table of the file's where the host has no column for it";
            Finding::failure(place(port, column), what, fix)
        })
        .collect())
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

/// Whether a row that is locked through the port is locked underneath. A view
/// with `union all` locks nothing, and says nothing. What locked a row stands in
/// its `xmax`, which no other way to see it needs an extension for.
async fn lock(db: &mut Transaction, port: &Port) -> Result<Option<Finding>> {
    let bases = bases(Unprepared(db), port).await?;
    let name = port.name;
    let locked = undone(db, async |db| {
        let lock = format!("select 1 from {name} limit 1 for update skip locked");
        let row = Unprepared(db).fetch_optional(AssertSqlSafe(lock)).await?;
        if row.is_none() || bases.is_empty() {
            return Ok(true);
        }
        // A savepoint locks by a number of its own, which a row of ours that it
        // locks tells.
        let ours = "select target from retention_policies order by target limit 1 for update";
        Unprepared(db).execute(ours).await?;
        let ask = "select xmax::text from retention_policies order by target limit 1";
        let locker: String = sqlx::query_scalar(ask).fetch_one(Unprepared(db)).await?;
        for base in &bases {
            let ask = format!("select exists (select from only {base} where xmax = $1::text::xid)");
            let ask = sqlx::query_scalar(AssertSqlSafe(ask)).bind(&locker);
            if ask.fetch_one(Unprepared(db)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await?;
    let what = match locked {
        Ok(true) => return Ok(None),
        Ok(false) => "a row that is locked through it is not locked: two runs, or a run and the host, would write it at once".to_owned(),
        Err(refusal) => format!("cannot be locked: {}", refusal.message()),
    };
    let fix = "let it be a select from one table, without union, distinct, group by or outer join; join what else it needs by a subquery";
    Ok(Some(Finding::failure(name, what, fix)))
}

/// The tables underneath that our role may read.
async fn bases(db: Unprepared<'_>, port: &Port) -> Result<Vec<String>> {
    sqlx::query_scalar(
        "with recursive under (oid) as (
             select to_regclass($1)::oid
             union
             select d.refobjid
               from under
               join pg_rewrite r
                 on r.ev_class = under.oid
               join pg_depend d
                 on d.classid = 'pg_rewrite'::regclass
                and d.objid = r.oid
                and d.refclassid = 'pg_class'::regclass
         )
         select t.oid::regclass::text
           from under
           cross join lateral (
               select under.oid
               union
               select i.inhrelid from pg_inherits i where i.inhparent = under.oid
           ) t
           join pg_class c
             on c.oid = t.oid
          where c.relkind = 'r'
            and has_schema_privilege(c.relnamespace, 'usage')
            and has_table_privilege(c.oid, 'select')",
    )
    .bind(port.name)
    .fetch_all(db)
    .await
}
