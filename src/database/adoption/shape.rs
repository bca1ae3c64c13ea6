//! Whether a port has the columns of the contract, of its types, and lets those
//! be written that are. Asks the catalog only, so that `serve` can do so.

use std::collections::BTreeMap;

use sqlx::Result;

use super::Finding;
use super::contract::{self, Column, Port};
use super::trials::{self, Does};
use crate::database::Unprepared;

/// What Postgres says of one port.
#[derive(Default)]
struct Found {
    kind: Option<String>,
    /// Bits by the number of the command: 2 is update, 3 insert, 4 delete.
    takes: i32,
    columns: BTreeMap<String, (String, bool)>,
}

/// Compares every port with the contract; one that is a table is ours.
pub(super) async fn check(db: Unprepared<'_>) -> Result<Vec<Finding>> {
    let found = ask(db).await?;
    let nothing = Found::default();
    let findings = contract::PORTS.iter().flat_map(|port| {
        let found = found.get(port.name).unwrap_or(&nothing);
        match found.kind.as_deref() {
            Some("r" | "p") => Vec::new(),
            Some(_) => of_a_view(port, found),
            None => {
                let fix = "let the file make a view of this name, or leave the port to us";
                vec![Finding::failure(port.name, "is not there", fix)]
            }
        }
    });
    Ok(findings.collect())
}

fn of_a_view(port: &Port, found: &Found) -> Vec<Finding> {
    let columns = port.columns.iter();
    let mut findings: Vec<Finding> = columns
        .filter_map(|column| of_a_column(port, column, found))
        .collect();
    for trial in trials::of(port) {
        let (command, name) = match trial.does {
            Does::Set(..) => (2, "update"),
            Does::Insert(..) => (3, "insert"),
            Does::Delete => (4, "delete"),
        };
        if found.takes & (1 << command) == 0 {
            let what = format!("cannot be written ({}): it takes no {name}", trial.name);
            let fix = format!(
                "add to the file: create trigger … instead of {name} on {}",
                port.name
            );
            findings.push(Finding::failure(port.name, what, fix));
        } else if let Does::Set(kept, told) = trial.does {
            findings.extend(kept.iter().chain(told).filter_map(|(name, _)| {
                let (_, is_writable) = found.columns.get(*name)?;
                let what = "is computed, and cannot be written";
                let fix = format!(
                    "add to the file: create trigger … instead of update on {}",
                    port.name
                );
                (!is_writable).then(|| Finding::failure(place(port, name), what, fix))
            }));
        }
    }
    findings.dedup();
    findings
}

fn of_a_column(port: &Port, column: &Column, found: &Found) -> Option<Finding> {
    let Column { name, kind, .. } = column;
    match found.columns.get(*name) {
        None => {
            let what = format!("is not there, and must be {kind}");
            let fix = format!("add to its select: … as {name}");
            Some(Finding::failure(place(port, name), what, fix))
        }
        Some((theirs, _)) if theirs != kind => {
            let what = format!("is {theirs}, and must be {kind}");
            let fix = format!("cast it in the file: (…)::{kind} as {name}");
            Some(Finding::failure(place(port, name), what, fix))
        }
        Some(_) => None,
    }
}

pub(super) fn place(port: &Port, column: &str) -> String {
    format!("{}.{column}", port.name)
}

type Row = (
    String,
    String,
    i32,
    Option<String>,
    Option<String>,
    Option<bool>,
);

async fn ask(db: Unprepared<'_>) -> Result<BTreeMap<String, Found>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select name, c.relkind::text, pg_relation_is_updatable(c.oid, true),
                a.attname::text, format_type(a.atttypid, a.atttypmod),
                pg_column_is_updatable(c.oid, a.attnum, false)
                or exists (
                    select from pg_trigger t
                     where t.tgrelid = c.oid
                       and t.tgtype & 80 = 80 -- instead of update
                )
           from unnest($1::text[]) as port (name)
           join pg_class c
             on c.oid = to_regclass(name)
           left join pg_attribute a
             on a.attrelid = c.oid
            and c.relkind <> 'r'
            and a.attnum > 0
            and not a.attisdropped",
    )
    .bind(contract::names())
    .fetch_all(db)
    .await?;
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for (port, kind, takes, column, of_type, is_writable) in rows {
        let found = found.entry(port).or_default();
        found.kind = Some(kind);
        found.takes = takes;
        if let (Some(column), Some(of_type), Some(is_writable)) = (column, of_type, is_writable) {
            found.columns.insert(column, (of_type, is_writable));
        }
    }
    Ok(found)
}
