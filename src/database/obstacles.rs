//! What stands against migrating: looked for before anything is written.
//!
//! Promises to find all of it at once: names that are taken, a record of
//! migrations that is another program's, our tables in another schema, default
//! privileges that would open the new tables, and rights that are missing.
//! Changes nothing.

use std::fmt;

use sqlx::{Postgres, Result};

use super::adoption::contract;
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
    /// The role that the service has, when that is not the one that migrates;
    /// as it logs in, which at a pooler may end with a tenant's name.
    pub service: String,
    /// Whether others may be given rights to the new tables.
    pub may_be_exposed: bool,
    /// Whether the schema was named, and not taken for want of a name.
    pub schema_is_named: bool,
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
    let mut facts = facts(db, schema, &ours, &missing, others).await?;
    if !changes {
        facts.not_owned.clear();
        facts.opened_to.clear();
    }
    let is_ours = MIGRATOR.iter().any(|it| is_applied(it.version));
    let record_is_foreign = !applied.is_empty() && !is_ours;
    Ok(facts.judged(schema, others, changes, record_is_foreign))
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "one row, as the database answers"
)]
struct Facts {
    role: String,
    database: String,
    encoding: String,
    is_there: bool,
    may_create: bool,
    record_is_unreadable: bool,
    record_is_other: bool,
    taken: Vec<String>,
    not_owned: Vec<String>,
    elsewhere: Vec<String>,
    opened_to: Vec<String>,
}

const OWN: &str = "set DATABASE_SCHEMA to a schema of its own, such as jarvis";

impl Facts {
    fn judged(
        self,
        schema: &Schema,
        others: &Others,
        has_missing: bool,
        record_is_foreign: bool,
    ) -> Vec<Obstacle> {
        let mut found = self.place(schema);
        let name = schema.name();
        if self.record_is_other {
            let what = format!(
                "{name}._sqlx_migrations is of others: no table, or one with other columns than ours"
            );
            found.push(Obstacle::new(what, OWN));
            return found;
        }
        if self.record_is_unreadable {
            let what = format!(
                "the role {} may not read and write {name}._sqlx_migrations",
                self.role
            );
            found.push(Obstacle::new(what, "migrate as the role that owns it"));
            return found;
        }
        if record_is_foreign {
            let what = format!("{name}._sqlx_migrations is the record of another program");
            found.push(Obstacle::new(what, OWN));
        }
        found.extend(self.names(name));
        if self.encoding != "UTF8" && has_missing {
            let what = format!("the encoding of the database is {}", self.encoding);
            let fix = "use a database that was made with encoding 'UTF8': texts have letters that it lacks";
            found.push(Obstacle::new(what, fix));
        }
        if !self.opened_to.is_empty() && !others.may_be_exposed {
            let (role, to) = (&self.role, self.opened_to.join(", "));
            found.push(Obstacle::new(
                format!("default privileges of the role {role} would open the new tables to {to}"),
                format!("{OWN}; or alter default privileges so that they grant nothing there; or pass --allow-exposed"),
            ));
        }
        found
    }

    /// Whether the schema is the one that is meant, and can be used.
    fn place(&self, schema: &Schema) -> Vec<Obstacle> {
        let (name, role) = (schema.name(), &self.role);
        let mut found = Vec::new();
        if !self.may_create {
            let (may_not, rights) = if self.is_there {
                let rights = format!("usage, create on schema {name}");
                ("use the schema and create in it", rights)
            } else {
                let rights = format!("create on database {}", self.database);
                ("create the schema", rights)
            };
            found.push(Obstacle::new(
                format!("the role {role} may not {may_not}: {name}"),
                format!("grant {rights} to {role}, or migrate as its owner"),
            ));
        }
        if let [first, ..] = &*self.elsewhere {
            let all = self.elsewhere.join(", ");
            found.push(Obstacle::new(
                format!("the tables of this service are in the schema {all}"),
                format!(
                    "set DATABASE_SCHEMA={first}, or move them to {name} first (docs/settings.md)"
                ),
            ));
        }
        found
    }

    /// Whose the names are.
    fn names(&self, schema: &str) -> Vec<Obstacle> {
        let mut found = Vec::new();
        if !self.taken.is_empty() {
            let what = format!(
                "the schema {schema} has {} of others",
                self.taken.join(", ")
            );
            found.push(Obstacle::new(what, OWN));
        }
        if !self.not_owned.is_empty() {
            let owned = self.not_owned.join(", ");
            found.push(Obstacle::new(
                format!("the role {} does not own {owned}", self.role),
                "migrate as the role that owns them",
            ));
        }
        found
    }
}

impl Obstacle {
    fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        let (what, fix) = (what.into(), fix.into());
        Self { what, fix }
    }
}

async fn facts<'e>(
    db: impl sqlx::Executor<'e, Database = Postgres>,
    schema: &Schema,
    ours: &Names,
    missing: &Names,
    others: &Others,
) -> Result<Facts> {
    let list = |names: &std::collections::BTreeSet<&'static str>| -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    };
    sqlx::query_file_as!(
        Facts,
        "src/database/obstacles.sql",
        schema.name(),
        &list(&missing.relations),
        &list(&missing.indexes),
        &list(&missing.functions),
        &list(&ours.relations),
        &others.service,
        // Views of a host stand for these, and are its own.
        &contract::names() as &[&str],
        &list(&ours.functions),
        others.schema_is_named,
    )
    .fetch_one(db)
    .await
}
