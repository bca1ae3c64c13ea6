//! Whether the rows of a port are such as the jobs expect: told apart by their
//! ids, whole, and in words that are known.
//!
//! What our own table of that name refuses is counted: it stands aside while
//! the port is a view, with its constraints.

use sqlx::{AssertSqlSafe, Result};

use super::Finding;
use super::contract::{Null, Port};
use super::shape::place;
use super::trial::undone;
use crate::database::{Schema, Transaction, Unprepared};

/// What is wrong with the rows; also that there is none.
pub(super) async fn check(
    db: &mut Transaction,
    port: &Port,
    schema: &Schema,
) -> Result<Vec<Finding>> {
    let name = port.name;
    let counted = count(port);
    let counts: Result<Vec<i64>, _> = undone(db, async |db| {
        sqlx::query_scalar(AssertSqlSafe(counted))
            .fetch_one(Unprepared(db))
            .await
    })
    .await?;
    let counts = match counts {
        Ok(counts) => counts,
        Err(refusal) => {
            let what = format!("cannot be read: {}", refusal.message());
            let fix = "let its select guard what it casts";
            return Ok(vec![Finding::failure(name, what, fix)]);
        }
    };
    let mut counts = counts.into_iter();
    if counts.next() == Some(0) {
        let fix = "nothing was tried on it; run adopt check again once it has some";
        return Ok(vec![Finding::warning(name, "has no row", fix)]);
    }
    let mut findings = Vec::new();
    if let Some(twice @ 1..) = counts.next() {
        let what = format!("{twice} rows have an id that another row has");
        let fix = "let the view give each row an id of its own: a join that doubles rows does not";
        findings.push(Finding::failure(place(port, port.key), what, fix));
    }
    for (column, lacking) in required(port).zip(counts) {
        if lacking > 0 {
            findings.push(without(port, column, lacking));
        }
    }
    findings.extend(refused(db, port, schema).await?);
    Ok(findings)
}

fn without(port: &Port, (column, null): (&str, Null), rows: i64) -> Finding {
    let place = place(port, column);
    let what = format!("{rows} rows have none");
    match null {
        Null::Passed => {
            let fix = "the jobs pass them for ever: mend the host's text, which is no moment";
            Finding::warning(place, what, fix)
        }
        _ => Finding::failure(
            place,
            what,
            "let the view leave such rows out (where … is not null), or say what stands for null (coalesce)",
        ),
    }
}

fn required(port: &Port) -> impl Iterator<Item = (&'static str, Null)> {
    let columns = port.columns.iter();
    columns
        .filter(|column| column.null != Null::Allowed)
        .map(|column| (column.name, column.null))
}

/// All rows, those with an id that is taken, and those without each column.
fn count(port: &Port) -> String {
    let twice = match port.key {
        "id" => "count(id) - count(distinct id)",
        _ => "0::bigint",
    };
    let lacking =
        required(port).map(|(column, _)| format!("count(*) filter (where \"{column}\" is null)"));
    let counts: Vec<_> = ["count(*)".to_owned(), twice.to_owned()]
        .into_iter()
        .chain(lacking)
        .collect();
    format!("select array[{}] from {}", counts.join(", "), port.name)
}

/// Rows that break a check of our own table.
async fn refused(db: &mut Transaction, port: &Port, schema: &Schema) -> Result<Vec<Finding>> {
    let checks: Vec<(String, String)> = sqlx::query_as(
        "select con.conname::text, pg_get_expr(con.conbin, con.conrelid)
           from pg_constraint con
           join pg_class c
             on c.oid = con.conrelid
            and c.relnamespace = (select oid from pg_namespace where nspname = $1)
            and c.relname = $2
          where con.contype = 'c'
            and not exists (
                select from pg_attribute a
                 where a.attrelid = con.conrelid
                   and a.attnum = any (con.conkey)
                   and a.attname not in (
                       select theirs.attname
                         from pg_attribute theirs
                        where theirs.attrelid = to_regclass($2)
                   )
            )
          order by 1",
    )
    .bind(schema.aside())
    .bind(port.name)
    .fetch_all(Unprepared(db))
    .await?;
    let mut findings = Vec::new();
    for (name, expression) in checks {
        let counted = format!(
            "select count(*) from {} where not ({expression})",
            port.name
        );
        let rows: Result<i64, _> = undone(db, async |db| {
            sqlx::query_scalar(AssertSqlSafe(counted))
                .fetch_one(Unprepared(db))
                .await
        })
        .await?;
        let fix = "let the view say it in the words of ours: see docs/adopting.md";
        match rows {
            Ok(0) => {}
            Ok(rows) => {
                let what = format!("{rows} rows break {name}: {expression}");
                findings.push(Finding::warning(port.name, what, fix));
            }
            Err(refusal) => {
                let what = format!("a row breaks {name}: {}", refusal.message());
                findings.push(Finding::failure(port.name, what, fix));
            }
        }
    }
    Ok(findings)
}
