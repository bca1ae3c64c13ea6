//! A new migration keeps no reader and no writer of a large table waiting.
//!
//! The tables are those of a service that is at work: what locks one for longer
//! than a moment is refused here, and so is what this reader cannot judge.

use std::collections::BTreeSet;

use super::files;

mod judged;
mod statements;

use statements::{first_word, parts, statements};

/// Migrations up to this one were applied before there was this rule.
const EXEMPT: u64 = 20_261_128_000_009;
/// From here on a migration alters one table: while it waits for the second, it
/// would hold the first.
const ONE_TABLE: u64 = 20_261_128_000_020;

/// Tables of a few rows, which may be written as a whole.
const SMALL: [&str; 7] = [
    "churn_models",
    "job_leases",
    "job_pauses",
    "job_run_totals",
    "job_totals",
    "legal_holds",
    "retention_policies",
];

/// How a statement begins that keeps no one waiting, whatever follows.
const HARMLESS: [&str; 13] = [
    "create table ",
    "create function ",
    "alter function ",
    "create or replace function ",
    "create view ",
    "create or replace view ",
    "drop view ",
    "drop function ",
    "insert into ",
    "comment on ",
    "create trigger ",
    "drop table ",
    "reindex index concurrently ",
];

/// What is wrong with a migration, where the files before it said `before`.
fn faults(version: u64, text: &str, before: &str) -> Vec<String> {
    let no_transaction = text.starts_with("-- no-transaction");
    let statements = statements(text);
    let new: BTreeSet<&str> = statements
        .iter()
        .filter_map(|it| it.strip_prefix("create table "))
        .map(first_word)
        .collect();
    let mut faults = Vec::new();
    let mut altered = BTreeSet::new();
    let mut validates = 0;
    for statement in &statements {
        if let Some(fault) = fault(statement, &new, before) {
            faults.push(format!("{fault}: {statement}"));
        }
        let is_concurrent = statement.contains(" index concurrently ");
        if is_concurrent != no_transaction || is_concurrent && statements.len() > 1 {
            faults.push(
                "what is done concurrently is alone in a file that begins with -- no-transaction, \
                 where no lock has a time-out; everything else is in one that does not"
                    .into(),
            );
        }
        if let Some(rest) = statement.strip_prefix("alter table ") {
            if rest.contains(" validate constraint ") {
                validates += 1;
            } else {
                altered.insert(first_word(rest));
            }
        }
        if statement.starts_with("create trigger ") {
            altered.extend(statement.split(" on ").nth(1).map(first_word));
        }
    }
    altered.retain(|table| !new.contains(table));
    if validates > 0 && validates < statements.len() {
        faults.push(
            "a check is validated in a migration of its own: the scan would keep the other locks"
                .into(),
        );
    }
    let reads = |it: &String| it.contains(" select ") && it.contains(" from ");
    let fills = |it: &String| it.starts_with("insert into ") || it.starts_with("create table ");
    if !altered.is_empty() && statements.iter().any(|it| fills(it) && reads(it)) {
        faults.push("the table that it alters is locked while it fills another".into());
    }
    if version >= ONE_TABLE && altered.len() > 1 {
        faults.push(format!(
            "it alters several tables, {altered:?}: make a migration of each"
        ));
    }
    faults
}

/// Why a statement may keep others waiting.
fn fault(statement: &str, new: &BTreeSet<&str>, before: &str) -> Option<&'static str> {
    let is_new = |rest: &str| new.contains(first_word(rest));
    let index = ["create index ", "create unique index "];
    if let Some(rest) = index.iter().find_map(|it| statement.strip_prefix(it)) {
        let table = rest.split(" on ").nth(1).unwrap_or_default();
        let is_good = rest.starts_with("concurrently ") || is_new(table);
        return (!is_good).then_some("an index of a table that exists is built concurrently");
    }
    if let Some(rest) = statement.strip_prefix("drop index ") {
        let is_good = rest.starts_with("concurrently ");
        return (!is_good).then_some("an index is dropped concurrently");
    }
    if let Some(rest) = statement.strip_prefix("alter table ") {
        let table = first_word(rest);
        let actions = rest[table.len()..].trim();
        return if is_new(table) {
            None
        } else {
            actions_fault(table, actions, before)
        };
    }
    for write in ["update ", "delete from "] {
        if let Some(rest) = statement.strip_prefix(write) {
            let is_good = is_new(rest) || SMALL.contains(&first_word(rest));
            return (!is_good).then_some("every row that it writes is locked until its end");
        }
    }
    if statement.starts_with("insert into ") && statement.contains(" do update ") {
        let is_good = statement
            .split(' ')
            .nth(2)
            .is_some_and(|table| SMALL.contains(&first_word(table)));
        return (!is_good).then_some("every row that it writes is locked until its end");
    }
    let is_harmless = HARMLESS.iter().any(|it| statement.starts_with(it));
    (!is_harmless).then_some("it is not known whether this keeps others waiting")
}

fn actions_fault(table: &str, actions: &str, before: &str) -> Option<&'static str> {
    parts(actions).into_iter().find_map(|action| {
        let constraint = [
            "constraint ",
            "check ",
            "unique ",
            "primary ",
            "foreign ",
            "exclude ",
            "not null ",
        ];
        if let Some(added) = action.strip_prefix("add ") {
            let added = added.strip_prefix("column ").unwrap_or(added);
            if constraint.iter().any(|it| added.starts_with(it)) {
                let is_good =
                    added.ends_with(" not valid") || added.contains(" unique using index ");
                return (!is_good).then_some(
                    "a constraint is added not valid, and validated in a migration of its own",
                );
            }
            return column_fault(added);
        }
        if let Some(rest) = action.strip_prefix("alter column ") {
            let column = first_word(rest);
            let change = rest[column.len()..].trim();
            if change == "set not null" {
                let is_checked = is_validated(table, column, before);
                return (!is_checked).then_some("not null needs a validated check first");
            }
            let harmless = [
                "drop not null",
                "drop default",
                "set default ",
                "set statistics ",
            ];
            let is_good = harmless.iter().any(|it| change.starts_with(it));
            return (!is_good)
                .then_some("a column of another type is another table: it is written anew");
        }
        let harmless = [
            "drop constraint ",
            "drop column ",
            "validate constraint ",
            "rename ",
            "set (",
            "enable trigger ",
            "disable trigger ",
        ];
        let is_good = harmless.iter().any(|it| action.starts_with(it));
        (!is_good).then_some("it is not known whether this keeps others waiting")
    })
}

/// A column that is added must be there without a look at a row.
fn column_fault(column: &str) -> Option<&'static str> {
    let default = column.split(" default ").nth(1).unwrap_or_default();
    let calls = default.replace("now()", "");
    if calls.contains('(') || column.contains(" generated ") || column.contains("serial") {
        return Some("a default that differs from row to row is written into every row");
    }
    let checks = [" check", " unique", " primary key", " references "];
    if checks.iter().any(|it| column.contains(it)) {
        return Some("a column is added without a constraint, which is added not valid");
    }
    let is_empty = column.contains(" not null") && default.is_empty();
    is_empty.then_some("a column that is not null needs a default")
}

/// Whether an earlier migration validated a check that the column is not null.
fn is_validated(table: &str, column: &str, before: &str) -> bool {
    let check = format!(" check ({column} is not null)");
    statements(before).iter().any(|statement| {
        let Some(actions) = statement.strip_prefix(&format!("alter table {table} ")) else {
            return false;
        };
        parts(actions).iter().any(|action| {
            let name = action.strip_prefix("add constraint ").map(first_word);
            action.contains(&check)
                && name.is_some_and(|name| {
                    let says = |what| {
                        let said = format!("alter table {table} {what} constraint {name}");
                        statements(before).contains(&said)
                    };
                    says("validate") && !says("drop")
                })
        })
    })
}

#[test]
fn no_new_migration_keeps_readers_or_writers_waiting() {
    let mut migrations = files("migrations", "sql");
    migrations.sort_by(|a, b| a.path.cmp(&b.path));
    let (mut before, mut judged) = (String::new(), 0);
    for migration in migrations {
        let name = migration.path.trim_start_matches("migrations/");
        let version: u64 = name.split('_').next().unwrap().parse().unwrap();
        if version > EXEMPT {
            let faults = faults(version, &migration.text, &before);
            assert!(faults.is_empty(), "{name}: {faults:#?}");
            judged += 1;
        }
        before.push_str(&migration.text);
    }
    assert!(judged > 3, "only {judged} migrations were judged");
}
