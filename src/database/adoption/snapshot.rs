//! What is in the database, before a file ran and after: what it created, and
//! what it should not have touched.
//!
//! A file that only creates can be undone without a word of its own about that.
//! So nothing that was there may look different after it, nor be gone.

use std::collections::BTreeMap;

use sqlx::Result;

use super::record::Created;
use crate::database::{Transaction, Unprepared};

/// What a `drop` knows how to drop.
const KINDS: [&str; 8] = [
    "table",
    "view",
    "materialized view",
    "index",
    "sequence",
    "function",
    "trigger",
    "statistics object",
];

/// Everything that is there, with what it looks like.
pub(super) struct Snapshot(BTreeMap<(String, i64), (String, String)>);

/// What came of a file.
#[derive(Default)]
pub(super) struct Difference {
    pub(super) created: Vec<Created>,
    /// What was there and is another now, or is gone, or came and can only be
    /// undone by hand; as Postgres describes it.
    pub(super) changed: Vec<String>,
}

pub(super) async fn take(db: Unprepared<'_>) -> Result<Snapshot> {
    let rows: Vec<(String, i64, String, String)> = sqlx::query_as(include_str!("snapshot.sql"))
        .fetch_all(db)
        .await?;
    let objects = rows
        .into_iter()
        .map(|(class, oid, what, looks)| ((class, oid), (what, looks)));
    Ok(Snapshot(objects.collect()))
}

impl Snapshot {
    /// What is different now.
    pub(super) async fn compare(&self, db: &mut Transaction) -> Result<Difference> {
        let Snapshot(before) = self;
        let Snapshot(after) = take(Unprepared(db)).await?;
        let changed = before
            .iter()
            .filter(|(key, (_, looks))| after.get(key).is_none_or(|(_, look)| look != looks));
        let mut found = Difference {
            changed: changed.map(|(_, (what, _))| what.clone()).collect(),
            ..Difference::default()
        };
        let new: Vec<&(String, i64)> = after
            .keys()
            // Of a table that is new, the rows are its own.
            .filter(|(class, _)| class.starts_with("pg_"))
            .filter(|key| !before.contains_key(key))
            .collect();
        for created in described(Unprepared(db), &new).await? {
            if KINDS.contains(&created.kind.as_str()) {
                found.created.push(created);
            } else {
                found
                    .changed
                    .push(format!("{} {}", created.kind, created.identity));
            }
        }
        Ok(found)
    }
}

/// Without what goes with another that is new, such as the index of a key.
async fn described(db: Unprepared<'_>, new: &[&(String, i64)]) -> Result<Vec<Created>> {
    let (classes, oids): (Vec<&str>, Vec<i64>) = new
        .iter()
        .map(|(class, oid)| (class.as_str(), *oid))
        .unzip();
    sqlx::query_as(
        "with new as (
             select class::regclass::oid as class, oid::oid as oid
               from unnest($1::text[], $2::bigint[]) as new (class, oid)
         )
         select new.class::regclass::text as class, new.oid::bigint as oid, called.type as kind, called.identity,
                address.object_names[cardinality(address.object_names)] as name,
                (select tgfoid::regprocedure::text
                   from pg_trigger t
                  where t.oid = new.oid
                    and new.class = 'pg_trigger'::regclass) as calls
           from new
          cross join lateral pg_identify_object(new.class, new.oid, 0) called
          cross join lateral pg_identify_object_as_address(new.class, new.oid, 0) address
          where not exists (
              select from pg_depend d
               where d.classid = new.class
                 and d.objid = new.oid
                 and (d.deptype = 'e'
                      or d.deptype in ('i', 'a')
                         and (d.refclassid, d.refobjid) in (select class, oid from new))
          )
          order by new.oid",
    )
    .bind(classes)
    .bind(oids)
    .fetch_all(db)
    .await
}
