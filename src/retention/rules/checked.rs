//! Whether a rule can be carried out, by the catalog.
//!
//! Reads only.

use sqlx::Result;

use super::known::{KNOWN, REFERRING};
use super::{Action, Rule};
use crate::database::Unprepared;
use crate::database::readiness::RIGHTS;

/// Why a rule cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// A sentence for the caller.
    #[error("{0}")]
    Rule(String),
    /// The database could not say.
    #[error(transparent)]
    Failed(#[from] sqlx::Error),
}

/// A rule that can be carried out.
pub(super) struct Fit {
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) key: String,
}

/// What the catalog says of a table and a column.
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row of the catalog, as the statement answers it"
)]
struct Facts {
    schema: String,
    table: String,
    is_table: bool,
    is_ours: bool,
    /// `None` where there is no such column.
    is_required: Option<bool>,
    is_made: Option<bool>,
    /// Whether an empty value of it exists.
    can_be_empty: Option<bool>,
    /// The columns that refer to members, each by a foreign key of its own.
    keys: Vec<String>,
    /// Whether `key` is a column that can hold an id.
    has_key: bool,
    may_update: Option<bool>,
    may_delete: bool,
}

pub(super) async fn check(db: Unprepared<'_>, rule: &Rule) -> Result<Fit, Unfit> {
    let name = rule.name();
    let unfit = |why: &str| Unfit::Rule(format!("{name}: {why}"));
    let found = facts(db, rule).await?;
    let found =
        found.ok_or_else(|| unfit("there is no such table, or it needs its schema in front"))?;
    if !found.is_table {
        return Err(unfit("it is no table"));
    }
    let required = found
        .is_required
        .ok_or_else(|| unfit("there is no such column"))?;
    is_the_customers(rule, &found).map_err(unfit)?;
    let key = key(rule, &found).map_err(unfit)?;
    may_be_erased(rule, &found, required, &key).map_err(unfit)?;
    Ok(Fit {
        schema: found.schema,
        table: found.table,
        key,
    })
}

fn key(rule: &Rule, found: &Facts) -> Result<String, &'static str> {
    match (&rule.key, found.keys.as_slice()) {
        (Some(key), _) if found.has_key => Ok(key.clone()),
        (Some(_), _) => Err("\"key\" is no column of uuid or text"),
        _ if found.is_ours && found.table == "members" => Ok("id".to_owned()),
        (None, [key]) => Ok(key.clone()),
        (None, keys) if rule.action == Action::Delete && keys.contains(&rule.column) => {
            Ok(rule.column.clone())
        }
        (None, []) => Err("no foreign key leads from its table to members: say \"key\""),
        (None, _) => Err("several foreign keys lead from its table to members: say \"key\""),
    }
}

fn is_the_customers(rule: &Rule, found: &Facts) -> Result<(), &'static str> {
    let ours = KNOWN
        .iter()
        .find(|(table, _)| found.is_ours && *table == found.table);
    let refers = found.keys.contains(&rule.column)
        && !REFERRING.contains(&&*format!("{}.{}", found.table, rule.column));
    if found.is_ours && (ours.is_none() && !refers || rule.action == Action::Delete) {
        return Err("this table is the service's own: see policies list");
    }
    if ours.is_some_and(|(_, columns)| columns.split(' ').any(|known| known == rule.column)) {
        return Err("this column is the service's own, which erases it where it must");
    }
    Ok(())
}

fn may_be_erased(
    rule: &Rule,
    found: &Facts,
    is_required: bool,
    key: &str,
) -> Result<(), &'static str> {
    if found.is_made == Some(true) {
        return Err("the column is generated: erase what it is made of");
    }
    match rule.action {
        Action::SetNull if is_required => {
            Err("the column is not null: use \"empty\", \"delete\", or let it be null")
        }
        Action::Empty if found.can_be_empty != Some(true) => {
            Err("only a text, a document or a list can be empty: use \"set_null\"")
        }
        Action::Empty if rule.column == key => {
            Err("the column holds the member's id: use \"set_null\" or \"delete\"")
        }
        Action::Delete if rule.column != key => {
            Err("with \"delete\", the column is the one that refers to the member")
        }
        Action::Delete if !found.may_delete => {
            Err("grant select and delete on every row of its table to the service's role")
        }
        Action::SetNull | Action::Empty if found.may_update != Some(true) => {
            Err("grant select and update on every row of its table to the service's role")
        }
        _ => Ok(()),
    }
}

async fn facts(db: Unprepared<'_>, rule: &Rule) -> Result<Option<Facts>> {
    let ours: Vec<&str> = RIGHTS.iter().map(|(table, _)| *table).collect();
    sqlx::query_as!(
        Facts,
        r#"
        select n.nspname as "schema!",
               c.relname as "table!",
               c.relkind in ('r', 'p') as "is_table!",
               c.oid in (select to_regclass(ours) from unnest($4::text[]) as ours) as "is_ours!",
               a.attnotnull or kind.typnotnull as is_required,
               a.attgenerated <> '' or a.attidentity = 'a' as is_made,
               kind.typcategory in ('S', 'A') or kind.oid in ('json'::regtype, 'jsonb'::regtype) as can_be_empty,
               array(
                   select k.attname
                     from pg_constraint f
                     join pg_attribute k
                       on k.attrelid = c.oid
                      and k.attnum = f.conkey[1]
                    where f.conrelid = c.oid
                      and f.contype = 'f'
                      and f.confrelid = to_regclass('members')
                      and cardinality(f.conkey) = 1
                    order by k.attname
               )::text[] as "keys!",
               exists (
                   select from pg_attribute k
                    where k.attrelid = c.oid
                      and k.attname = $3
                      and not k.attisdropped
                      and k.atttypid in ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype)
               ) as "has_key!",
               has_schema_privilege(n.oid, 'usage')
                   and has_table_privilege(c.oid, 'select')
                   and not row_security_active(c.oid)
                   and has_column_privilege(c.oid, a.attnum, 'update') as may_update,
               has_schema_privilege(n.oid, 'usage')
                   and has_table_privilege(c.oid, 'select')
                   and not row_security_active(c.oid)
                   and has_table_privilege(c.oid, 'delete') as "may_delete!"
          from pg_class c
          join pg_namespace n on n.oid = c.relnamespace
          left join pg_attribute a
            on a.attrelid = c.oid
           and a.attname = $2
           and a.attnum > 0
           and not a.attisdropped
          left join pg_type kind on kind.oid = a.atttypid
         where c.relkind in ('r', 'p', 'v', 'm', 'f')
           and (n.nspname || '.' || c.relname = $1 or c.relname = $1 and pg_table_is_visible(c.oid))
         order by c.relname = $1 desc
         limit 1
        "#,
        rule.table,
        rule.column,
        rule.key,
        &ours as &[&str],
    )
    .fetch_optional(db)
    .await
}
