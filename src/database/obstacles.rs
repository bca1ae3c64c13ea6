//! What stands against migrating: looked for before anything is written.
//!
//! Promises to find all of it at once: names that are taken, a record of
//! migrations that is another program's, our tables in another schema, default
//! privileges that would open the new tables, and rights that are missing.
//! Changes nothing.

use std::fmt;

use sqlx::{Postgres, Result};

use super::names::Names;
use super::{MIGRATOR, Schema};

/// One of them, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// In a sentence.
    pub what: String,
    /// In a command or a sentence.
    pub fix: String,
}

/// All of them, one a line.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Obstacles(pub Vec<Obstacle>);

impl fmt::Display for Obstacles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing was changed, because")?;
        for Obstacle { what, fix } in &self.0 {
            write!(f, "\n  {what}: {fix}")?;
        }
        Ok(())
    }
}

/// Who else has to do with the tables.
#[derive(Debug, Clone, Default)]
pub struct Others {
    /// The role that the service has, when that is not the one that migrates.
    pub service: String,
    /// Whether others may be given rights to the new tables.
    pub may_be_exposed: bool,
}

/// Asks the database, where the migrations `applied` are on record.
///
/// # Errors
/// What the database, or the way to it, answered instead.
pub async fn obstacles<'e>(
    db: impl sqlx::Executor<'e, Database = Postgres>,
    schema: &Schema,
    applied: &[i64],
    others: &Others,
) -> Result<Vec<Obstacle>> {
    let is_applied = |version: i64| applied.contains(&version);
    let missing = MIGRATOR.iter().filter(|it| !is_applied(it.version));
    let changes = missing.clone().next().is_some();
    let ours = Names::created_by(MIGRATOR.iter().filter(|it| is_applied(it.version)));
    let missing = Names::created_by(missing).without(&ours);
    let mut facts = facts(db, schema, &ours, &missing, &others.service).await?;
    if !changes {
        facts.not_owned.clear();
        facts.opened_to.clear();
    }
    let is_ours = MIGRATOR.iter().any(|it| is_applied(it.version));
    Ok(facts.judged(schema, others, !applied.is_empty() && !is_ours))
}

struct Facts {
    role: String,
    database: String,
    is_there: bool,
    may_create: bool,
    record_is_unreadable: bool,
    taken: Vec<String>,
    not_owned: Vec<String>,
    elsewhere: Vec<String>,
    opened_to: Vec<String>,
}

impl Facts {
    fn judged(self, schema: &Schema, others: &Others, record_is_foreign: bool) -> Vec<Obstacle> {
        const OWN: &str = "set DATABASE_SCHEMA to a schema of its own, such as jarvis";
        let (name, role) = (schema.name(), &self.role);
        let mut found = Vec::new();
        let mut add = |what: String, fix: String| {
            found.push(Obstacle { what, fix });
        };
        if !self.may_create {
            let (what, of) = if self.is_there {
                ("use the schema and create in it", format!("schema {name}"))
            } else {
                ("create the schema", format!("database {}", self.database))
            };
            let rights = if self.is_there {
                "usage, create"
            } else {
                "create"
            };
            add(
                format!("the role {role} may not {what} {name}"),
                format!("grant {rights} on {of} to {role}, or migrate as its owner"),
            );
        }
        if let [first, ..] = &*self.elsewhere {
            add(
                format!(
                    "the tables of this service are in the schema {}",
                    self.elsewhere.join(", ")
                ),
                format!(
                    "set DATABASE_SCHEMA={first}, or move them to {name} first (docs/settings.md)"
                ),
            );
        }
        if self.record_is_unreadable {
            add(
                format!("the role {role} may not read and write {name}._sqlx_migrations"),
                "migrate as the role that owns it".into(),
            );
            return found;
        }
        if record_is_foreign {
            add(
                format!("{name}._sqlx_migrations is the record of another program"),
                OWN.into(),
            );
        }
        if !self.taken.is_empty() {
            add(
                format!("the schema {name} has {} of others", self.taken.join(", ")),
                OWN.into(),
            );
        }
        if !self.not_owned.is_empty() {
            add(
                format!("the role {role} does not own {}", self.not_owned.join(", ")),
                "migrate as the role that owns them".into(),
            );
        }
        if !self.opened_to.is_empty() && !others.may_be_exposed {
            let to = self.opened_to.join(", ");
            add(
                format!("default privileges of the role {role} would open the new tables to {to}"),
                format!(
                    "{OWN}; or alter default privileges so that they grant nothing there; or pass --allow-exposed"
                ),
            );
        }
        found
    }
}

async fn facts<'e>(
    db: impl sqlx::Executor<'e, Database = Postgres>,
    schema: &Schema,
    ours: &Names,
    missing: &Names,
    service: &str,
) -> Result<Facts> {
    let list = |names: &std::collections::BTreeSet<&'static str>| -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    };
    sqlx::query_as!(
        Facts,
        r#"
        with here as (
            select to_regnamespace($1)::oid as schema
        )
        select current_user::text as "role!",
               current_database()::text as "database!",
               schema is not null as "is_there!",
               coalesce(
                   has_schema_privilege(schema, 'usage') and has_schema_privilege(schema, 'create'),
                   has_database_privilege(current_database(), 'create')
               ) as "may_create!",
               exists (
                   select from pg_class
                    where relnamespace = schema
                      and relname = '_sqlx_migrations'
                      and not (
                          has_schema_privilege(schema, 'usage')
                          and has_table_privilege(oid, 'select')
                          and has_table_privilege(oid, 'insert')
                      )
               ) as "record_is_unreadable!",
               array(
                   select kind || ' ' || name
                     from (
                         select case c.relkind
                                    when 'v' then 'view'
                                    when 'm' then 'materialized view'
                                    when 'S' then 'sequence'
                                    when 'i' then 'index'
                                    when 'I' then 'index'
                                    when 'f' then 'foreign table'
                                    when 'c' then 'type'
                                    else 'table'
                                end as kind,
                                c.relname as name
                           from pg_class c
                           left join pg_index i on i.indexrelid = c.oid
                           left join pg_class t on t.oid = i.indrelid
                          where c.relnamespace = schema
                            and (
                                c.relname = any ($2)
                                -- One of ours may have been left by a try that broke off.
                                or c.relname = any ($3) and coalesce(t.relname <> all ($5), true)
                            )
                         union all
                         select 'type', typname
                           from pg_type
                          where typnamespace = schema
                            and typname = any ($2)
                            and typrelid = 0
                         union all
                         select distinct 'function', proname
                           from pg_proc
                          where pronamespace = schema
                            and proname = any ($4)
                     ) as taken (kind, name)
                    order by 1
               ) as "taken!",
               array(
                   select relname || ' (of ' || pg_get_userbyid(relowner) || ')'
                     from pg_class
                    where relnamespace = schema
                      and relname = any ($5)
                      and relkind in ('r', 'p')
                      and not pg_has_role(relowner, 'usage')
                    order by 1
               ) as "not_owned!",
               array(
                   select n.nspname::text
                     from pg_settings s
                    cross join unnest(string_to_array(s.reset_val, ',')) with ordinality as path (name, position)
                     join pg_namespace n
                       on n.nspname = replace(btrim(path.name, ' "'), '$user', session_user)
                    where s.name = 'search_path'
                      and n.oid is distinct from schema
                      and not exists (
                          select from pg_class
                           where relnamespace = schema
                             and relname = 'job_leases'
                      )
                      and 2 = (
                          select count(*) from pg_class
                           where relnamespace = n.oid
                             and relname in ('_sqlx_migrations', 'job_leases')
                      )
                    order by path.position
               ) as "elsewhere!",
               array(
                   select distinct coalesce(r.rolname::text, 'PUBLIC')
                     from pg_default_acl d
                    cross join aclexplode(d.defaclacl) a
                     left join pg_roles r on r.oid = a.grantee
                    where d.defaclrole = current_user::regrole
                      and d.defaclnamespace in (0, schema)
                      and d.defaclobjtype in ('r', 'S')
                      and a.grantee <> d.defaclrole
                      and r.rolsuper is not true
                      and r.rolname is distinct from $6
                    order by 1
               ) as "opened_to!"
          from here
        "#,
        schema.name(),
        &list(&missing.relations),
        &list(&missing.indexes),
        &list(&missing.functions),
        &list(&ours.relations),
        service,
    )
    .fetch_one(db)
    .await
}
