//! The schema that holds our tables.
//!
//! Promises that its name needs no quotes and is no word that Postgres keeps
//! for itself, so that it can stand in any statement as it is. Makes it, and
//! closes what is in it.

use std::sync::Arc;

use sqlx::migrate::Migration;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Result};

use super::MIGRATOR;
use super::names::Names;

/// The name of a schema; `public` unless `DATABASE_SCHEMA` says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema(Arc<str>);

impl Schema {
    /// A name of at most 63 letters, digits and `_`, in lower case, that begins
    /// with no digit; `None` where it is another, or one of Postgres' own.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let is_of_postgres = name.starts_with("pg_") || name == "information_schema";
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins_well = name.starts_with(|c: char| !c.is_ascii_digit());
        let is_fit = (1..=63).contains(&name.len()) && name.chars().all(is_plain);
        (is_fit && begins_well && !is_of_postgres).then(|| Self(name.into()))
    }

    /// As it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// What a name without a schema is looked up in. Tables of the session come
    /// last: they would stand in for ours.
    #[must_use]
    pub fn search_path(&self) -> String {
        format!("\"{}\", pg_temp", self.0)
    }

    /// Has each name without a schema mean what is in this one for as long as
    /// the session lasts, also before it is there.
    pub(super) async fn enter(&self, db: &mut PgConnection) -> Result<()> {
        let enter = format!("set search_path = {}", self.search_path());
        db.execute(AssertSqlSafe(enter)).await?;
        Ok(())
    }

    /// The schema in which tables of ours stand while a host's views stand for
    /// them. No name of ours is longer than Postgres takes.
    #[must_use]
    pub fn aside(&self) -> String {
        let name: String = self.0.chars().take(59).collect();
        format!("{name}_own")
    }

    /// The same for a migration. One that touches a table that a host's view may
    /// stand for says so: it means ours, also while that stands aside.
    pub(super) async fn enter_for(
        &self,
        db: &mut PgConnection,
        migration: &Migration,
    ) -> Result<()> {
        let mut lines = migration.sql.as_str().lines();
        if !lines.any(|line| line.starts_with("-- port: ")) {
            return self.enter(db).await;
        }
        let (aside, search_path) = (self.aside(), self.search_path());
        let enter = format!("set search_path = \"{aside}\", {search_path}");
        db.execute(AssertSqlSafe(enter)).await.map(drop)
    }

    /// Makes it where it is missing. Asked first, because Postgres wants the
    /// right to make one also where there is nothing to make.
    pub(super) async fn make(&self, db: &mut PgConnection) -> Result<()> {
        let is_there = sqlx::query_scalar("select to_regnamespace($1) is not null");
        if !is_there.bind(self.name()).fetch_one(&mut *db).await? {
            let create = format!("create schema if not exists \"{}\"", self.0);
            db.execute(AssertSqlSafe(create)).await?;
        }
        Ok(())
    }

    /// Takes from `PUBLIC` what it may do with our tables and views, as far as
    /// they are ours to close; names them.
    pub(super) async fn close(&self, db: &mut PgConnection) -> Result<Vec<String>> {
        let ours = Names::created_by(MIGRATOR.iter()).relations;
        let open: Vec<String> = sqlx::query_scalar(OPEN)
            .bind(self.name())
            .bind(Vec::from_iter(ours))
            .fetch_all(&mut *db)
            .await?;
        for table in &open {
            let revoke = format!("revoke all on \"{}\".\"{table}\" from public", self.0);
            db.execute(AssertSqlSafe(revoke)).await?;
        }
        Ok(open)
    }
}

impl Default for Schema {
    fn default() -> Self {
        Self("public".into())
    }
}

const OPEN: &str = "
    select relname::text
      from pg_class
     where relnamespace = to_regnamespace($1)
       and relname = any ($2)
       and pg_has_role(relowner, 'usage')
       and exists (
           select from aclexplode(relacl) where grantee = 0
           union all
           select from pg_attribute a cross join aclexplode(a.attacl) given
            where a.attrelid = pg_class.oid
              and given.grantee = 0
       )
     order by 1";
