//! Rules for what the customer has added: columns of our tables, and tables of
//! their own that refer to members.
//!
//! Owns `erasure_rules`. A rule is checked against the catalog when it is
//! added, and carried out when a member is anonymised, in the same transaction;
//! where that fails, the member is not anonymised. What has no rule is named.

use std::fmt;

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Result};
use uuid::Uuid;

use super::policies::Author;
use crate::database::{Transaction, Unprepared};

mod checked;
mod known;

pub use checked::Unfit;

/// What becomes of it when the member is anonymised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The column is null.
    SetNull,
    /// The column is an empty text, document or list.
    Empty,
    /// The rows that refer to the member are deleted.
    Delete,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SetNull => "set_null",
            Self::Empty => "empty",
            Self::Delete => "delete",
        })
    }
}

/// A rule, as a file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// With its schema in front, where the search path does not lead to it.
    pub table: String,
    /// With `delete`, the one that refers to the member.
    pub column: String,
    /// What becomes of it.
    pub action: Action,
    /// The column that holds the member's id, where no single foreign key says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A policy file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// In the order in which they are carried out.
    pub erase: Vec<Rule>,
}

/// What is in the database, and what the rules say of it.
#[derive(Debug)]
pub struct Survey {
    /// In their order.
    pub rules: Vec<Rule>,
    /// Rules that cannot be carried out as the database is now.
    pub broken: Vec<String>,
    /// Columns that no rule and no statement of ours erases.
    pub unknown: Vec<String>,
}

/// Compares the rules with the catalog.
///
/// # Errors
/// When the database cannot be read.
pub async fn survey(db: &mut Transaction) -> Result<Survey> {
    let rules = all(Unprepared(db)).await?;
    let mut broken = Vec::new();
    for rule in &rules {
        match checked::check(Unprepared(db), rule).await {
            Err(Unfit::Failed(error)) => return Err(error),
            Err(unfit) => broken.push(unfit.to_string()),
            Ok(_) => {}
        }
    }
    let unknown = known::unknown(Unprepared(db)).await?;
    Ok(Survey {
        rules,
        broken,
        unknown,
    })
}

/// Replaces all rules by these, on record with who did it; answers those of
/// before.
///
/// # Errors
/// [`Unfit`] when one of them cannot be carried out; nothing is changed then.
pub async fn replace(
    db: &mut Transaction,
    rules: &[Rule],
    author: &Author,
) -> Result<Vec<Rule>, Unfit> {
    let before = all(Unprepared(db)).await?;
    let mut fit = Vec::new();
    for rule in rules {
        fit.push(checked::check(Unprepared(db), rule).await?);
    }
    sqlx::query!("delete from erasure_rules")
        .execute(Unprepared(db))
        .await?;
    for (position, (rule, fit)) in (1..).zip(rules.iter().zip(&fit)) {
        let added = sqlx::query!(
            "insert into erasure_rules (schema_name, table_name, column_name, key_name, action, position)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (schema_name, table_name, column_name) do nothing",
            fit.schema,
            fit.table,
            rule.column,
            fit.key,
            rule.action.to_string(),
            position,
        )
        .execute(Unprepared(db))
        .await?;
        if added.rows_affected() == 0 {
            return Err(Unfit::Rule(format!(
                "{}: there are two rules for it",
                rule.name()
            )));
        }
    }
    sqlx::query!(
        "insert into audit_events (event_type, entity_type, entity_id, actor, payload)
         values ('local.erasure_rules.changed', 'erasure_rules', 'members', coalesce($1, 'system'), $2)",
        author.actor,
        serde_json::json!({ "before": before, "after": rules, "reason": author.reason }),
    )
    .execute(Unprepared(db))
    .await?;
    Ok(before)
}

/// Carries the rules out for these members.
pub(super) async fn carry_out(db: &mut Transaction, ids: &[Uuid]) -> Result<()> {
    for statement in statements(Unprepared(db)).await? {
        // Made by Postgres, which has quoted every name.
        sqlx::query(AssertSqlSafe(statement))
            .bind(ids)
            .execute(Unprepared(db))
            .await?;
    }
    Ok(())
}

impl Rule {
    /// What it is about.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.table, self.column)
    }
}

async fn all(db: Unprepared<'_>) -> Result<Vec<Rule>> {
    let rows = sqlx::query!(
        "select schema_name || '.' || table_name as \"table!\", column_name, key_name, action
           from erasure_rules
          order by position"
    )
    .fetch_all(db)
    .await?;
    let rules = rows.into_iter().map(|row| Rule {
        table: row.table,
        column: row.column_name,
        action: match row.action.as_str() {
            "set_null" => Action::SetNull,
            "empty" => Action::Empty,
            _ => Action::Delete,
        },
        key: Some(row.key_name),
    });
    Ok(rules.collect())
}

/// The rules as statements; `$1` are the members. One whose column is gone is
/// a statement that fails.
async fn statements(db: Unprepared<'_>) -> Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select case action
                   when 'delete' then format('delete from %I.%I', schema_name, table_name)
                   else format('update %I.%I set %I = ', schema_name, table_name, column_name)
                       || case
                           when action = 'set_null' then 'null'
                           when kind.typcategory = 'S' then $$''$$
                           else $$'{}'$$
                       end
               end
               || case
                   when key.atttypid <> 'uuid'::regtype
                   then format(' where uuid_or_null(%I::text) = any($1)', key_name)
                   else format(' where %I = any($1)', key_name)
               end as "statement!"
          from erasure_rules
          left join pg_attribute key
            on key.attrelid = to_regclass(format('%I.%I', schema_name, table_name))
           and key.attname = key_name
          left join pg_attribute field
            on field.attrelid = key.attrelid
           and field.attname = column_name
          left join pg_type kind on kind.oid = field.atttypid
         order by position
        "#
    )
    .fetch_all(db)
    .await
}
