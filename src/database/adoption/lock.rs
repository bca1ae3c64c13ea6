//! Whether a row that is locked through a port is locked underneath.
//!
//! A view with `union all` locks nothing, and says nothing; one that joins such
//! a part locks the rest. What locked a row stands in its `xmax`, which no other
//! way to see it needs an extension for.

use sqlx::{AssertSqlSafe, Executor, Result};

use super::Finding;
use super::contract::Port;
use super::trial::undone;
use crate::database::{Transaction, Unprepared};

pub(super) const FIX: &str = "let it be a select from one table, without union, distinct, group by or outer join; join what else it needs by a subquery";

/// What a lock through the port did.
pub(super) enum Locked {
    /// Nothing is to be locked, or it cannot be.
    Not,
    /// It locked a row of each of these that says so.
    Rows(Vec<Base>),
    /// There is no row, or our role may not look underneath.
    Unknown,
}

/// A table underneath a view.
pub(super) struct Base {
    /// As Postgres names it.
    pub(super) name: String,
    /// Whether a row of it was locked.
    pub(super) is_locked: bool,
}

/// Locks a row through the port, and looks underneath.
pub(super) async fn check(db: &mut Transaction, port: &Port) -> Result<(Locked, Vec<Finding>)> {
    if !port.is_locked {
        return Ok((Locked::Not, Vec::new()));
    }
    let bases = bases(Unprepared(db), port).await?;
    let what = match undone(db, async |db| lock(db, port, bases).await).await? {
        Ok(Some(bases)) if bases.iter().any(|base| base.is_locked) => {
            return Ok((Locked::Rows(bases), Vec::new()));
        }
        Ok(None) => return Ok((Locked::Unknown, Vec::new())),
        Ok(Some(_)) => "a row that is locked through it is not locked: two runs, or a run and the host, would write it at once".to_owned(),
        Err(refusal) => format!("cannot be locked: {}", refusal.message()),
    };
    Ok((Locked::Not, vec![Finding::failure(port.name, what, FIX)]))
}

async fn lock(db: &mut Transaction, port: &Port, bases: Vec<String>) -> Result<Option<Vec<Base>>> {
    let lock = format!("select 1 from {} limit 1 for update skip locked", port.name);
    let row = Unprepared(db).fetch_optional(AssertSqlSafe(lock)).await?;
    if row.is_none() || bases.is_empty() {
        return Ok(None);
    }
    // A savepoint locks by a number of its own, which a row of ours that it
    // locks tells.
    let ours = "select target from retention_policies order by target limit 1 for update";
    Unprepared(db).execute(ours).await?;
    let ask = "select xmax::text from retention_policies order by target limit 1";
    let locker: String = sqlx::query_scalar(ask).fetch_one(Unprepared(db)).await?;
    let mut found = Vec::new();
    for name in bases {
        let ask = format!("select exists (select from only {name} where xmax = $1::text::xid)");
        let ask = sqlx::query_scalar(AssertSqlSafe(ask)).bind(&locker);
        let is_locked = ask.fetch_one(Unprepared(db)).await?;
        found.push(Base { name, is_locked });
    }
    Ok(Some(found))
}

/// The host's tables underneath that our role may read.
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
            and c.relnamespace <> current_schema()::regnamespace -- the file's own go with the host's row
            and has_schema_privilege(c.relnamespace, 'usage')
            and has_table_privilege(c.oid, 'select')",
    )
    .bind(port.name)
    .fetch_all(db)
    .await
}
