//! Drops what a file created, and lets our own tables stand again.
//!
//! A table of the file in which rows are stays: it holds what the host has no
//! column for, and the next file of the same ports finds it. Our own rows about
//! the host's (alerts, scores, reports) stay too.
//!
//! All in the caller's transaction, which commits or undoes it.

use sqlx::{AssertSqlSafe, Error, Executor};

use super::apply::{Refusal, take_turn};
use super::aside::{Hanging, gone, hanging, put, restore, take_over};
use super::record::{self, Adoption, Created};
use crate::database::{Schema, Transaction, Unprepared};

/// What was dropped, and what was not.
#[derive(Debug, Default)]
pub struct Dropped {
    /// The tables that are ours again.
    pub ports: Vec<String>,
    /// What the file had created and is gone now, as Postgres names it.
    pub gone: Vec<String>,
    /// Tables of the file that stay, because rows are in them.
    pub kept: Vec<String>,
    /// Foreign keys that rows of ours do not fit any more: they hold for new rows.
    pub unchecked: usize,
}

/// Drops an adoption; also the rows that the file wrote down, if `with_rows`.
///
/// # Errors
/// [`Refusal`]; the transaction is of no more use then.
pub async fn drop(
    db: &mut Transaction,
    schema: &Schema,
    adoption: &Adoption,
    with_rows: bool,
    actor: Option<&str>,
) -> Result<Dropped, Refusal> {
    take_turn(db).await?;
    let ports = &adoption.ports;
    let created = found(Unprepared(db), &adoption.created).await?;
    let mut hanging = hanging(Unprepared(db), ports).await?;
    hanging.extend(gone(Unprepared(db), Some(adoption.id)).await?);
    let aside = schema.aside();
    // The role of the service may have got its rights meanwhile.
    take_over(db, schema.name(), &aside, ports).await?;
    for port in ports {
        let swap = format!(
            "alter view if exists {port} rename to \"{port} of the host\";
             alter table \"{aside}\".{port} set schema \"{}\"",
            schema.name()
        );
        Unprepared(db).execute(AssertSqlSafe(swap)).await?;
    }
    // One of the file's own goes anyway.
    let theirs = |it: &&Hanging| !created.iter().any(|made| it.is_view(&made.identity));
    put(db, hanging.iter().filter(theirs), "our own tables").await?;
    let mut kept = Vec::new();
    let mut due = Vec::new();
    for it in created {
        if it.kind == "table" && !with_rows && has_rows(Unprepared(db), &it).await? {
            kept.push(it);
        } else {
            due.push(it);
        }
    }
    let gone = due
        .iter()
        .map(|it| format!("{} {}", it.kind, it.identity))
        .collect();
    drop_all(db, due).await?;
    let (unchecked, waiting) = restore(db, &adoption.foreign_keys).await?;
    let leave = format!("drop schema if exists \"{aside}\" restrict");
    if !record::hand_on(Unprepared(db), adoption.id, &waiting).await? {
        Unprepared(db).execute(AssertSqlSafe(leave)).await?;
    }
    record::end(Unprepared(db), adoption.id, &kept, actor).await?;
    Ok(Dropped {
        ports: ports.clone(),
        gone,
        kept: kept.into_iter().map(|it| it.identity).collect(),
        unchecked,
    })
}

/// Drops what earlier adoptions left because rows were in it; answers what.
///
/// # Errors
/// [`Refusal`]; the transaction is of no more use then.
pub async fn drop_left(db: &mut Transaction) -> Result<Vec<String>, Refusal> {
    take_turn(db).await?;
    let left = record::all_left(Unprepared(db)).await?;
    let due = found(Unprepared(db), &left).await?;
    let gone = due.iter().map(|it| it.identity.clone()).collect();
    drop_all(db, due).await?;
    record::forget_left(Unprepared(db)).await?;
    Ok(gone)
}

/// What of it is still there, the newest first. It is found by its number, as
/// long as that has its name; by its name in full, after a restore; a trigger by
/// what it calls. The host may have renamed its tables, or dropped an index.
async fn found(db: Unprepared<'_>, created: &[Created]) -> sqlx::Result<Vec<Created>> {
    sqlx::query_as(
        "select c.class, there.oid::bigint as oid, c.kind, called.identity, c.name, c.calls
           from rows from (
                    jsonb_to_recordset($1)
                        as (class text, oid bigint, kind text, identity text, name text, calls text)
                ) with ordinality as c (class, oid, kind, identity, name, calls, place)
          cross join lateral (
              select coalesce(
                         (select c.oid::oid
                            from pg_identify_object_as_address(c.class::regclass, c.oid::oid, 0) a
                           where a.type = c.kind
                             and a.object_names[cardinality(a.object_names)] = c.name),
                         case c.class
                             when 'pg_class' then to_regclass(c.identity)::oid
                             when 'pg_proc' then to_regprocedure(c.identity)::oid
                             when 'pg_trigger' then (
                                 select t.oid
                                   from pg_trigger t
                                  where t.tgname = c.name
                                    and t.tgfoid = to_regprocedure(c.calls)
                                  limit 1
                             )
                         end) as oid
          ) there
          cross join lateral pg_identify_object(c.class::regclass, there.oid, 0) called
          where there.oid is not null
            and called.identity is not null
          order by c.place desc",
    )
    .bind(sqlx::types::Json(created))
    .fetch_all(db)
    .await
}

async fn has_rows(db: Unprepared<'_>, table: &Created) -> sqlx::Result<bool> {
    let ask = format!("select exists (select from {})", table.identity);
    sqlx::query_scalar(AssertSqlSafe(ask)).fetch_one(db).await
}

/// Drops them in whatever order Postgres takes.
async fn drop_all(db: &mut Transaction, mut due: Vec<Created>) -> Result<(), Refusal> {
    while !due.is_empty() {
        let mut left = Vec::new();
        let mut first_refusal = None;
        let before = due.len();
        for it in due {
            let Created {
                class, oid, kind, ..
            } = &it;
            // Its name may have changed with the table's.
            let ask = "select identity from pg_identify_object($1::regclass, $2::oid, 0)";
            let ask = sqlx::query_scalar(ask)
                .bind(class)
                .bind(sqlx::postgres::types::Oid(
                    u32::try_from(*oid).unwrap_or_default(),
                ));
            let identity: Option<String> = ask.fetch_one(Unprepared(db)).await?;
            let Some(identity) = identity else { continue };
            let kind = kind.strip_suffix(" object").unwrap_or(kind);
            let statement = format!("drop {kind} {identity}");
            Unprepared(db).execute("savepoint part").await?;
            match Unprepared(db).execute(AssertSqlSafe(statement)).await {
                Ok(_) => Unprepared(db).execute("release savepoint part").await?,
                Err(Error::Database(refusal)) if refusal.code().as_deref() == Some("2BP01") => {
                    first_refusal.get_or_insert_with(|| {
                        format!("{}: {}", refusal.message(), refusal_detail(&*refusal))
                    });
                    left.push(it);
                    Unprepared(db).execute("rollback to savepoint part").await?
                }
                Err(error) => return Err(error.into()),
            };
        }
        if let Some(why) = first_refusal.filter(|_| left.len() == before) {
            return Err(format!("{why}; drop what the host has made of it before").into());
        }
        due = left;
    }
    Ok(())
}

fn refusal_detail(refusal: &dyn sqlx::error::DatabaseError) -> String {
    let refusal = refusal.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
    refusal
        .and_then(|it| it.detail())
        .unwrap_or_default()
        .replace('\n', "; ")
}
