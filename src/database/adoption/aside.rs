//! Our own tables step aside while a host's views stand for them, and come back.
//!
//! They stay whole: with their columns, indexes and triggers, empty, in a
//! schema beside ours, where migrations find them. What hangs on them is put on
//! whatever has their names.

use sqlx::{AssertSqlSafe, Error, Executor};

use super::apply::Refusal;
use crate::database::{Schema, Transaction, Unprepared};

/// Our views and functions that look at these tables, as statements that put
/// them on whatever has these names then.
pub(super) async fn hanging(db: Unprepared<'_>, ports: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "select distinct case
                    when d.classid = 'pg_proc'::regclass then pg_get_functiondef(d.objid)
                    else format('create or replace view %s as %s', r.ev_class::regclass, pg_get_viewdef(r.ev_class))
                end
           from pg_depend d
           left join pg_rewrite r
             on d.classid = 'pg_rewrite'::regclass
            and r.oid = d.objid
          where d.refclassid = 'pg_class'::regclass
            and d.refobjid in (select to_regclass(port) from unnest($1::text[]) as port)
            and (d.classid = 'pg_proc'::regclass or r.ev_class <> d.refobjid)",
    )
    .bind(ports)
    .fetch_all(db)
    .await
}

/// Puts them there, but those whose head says so.
pub(super) async fn put(
    db: &mut Transaction,
    hanging: &[String],
    on: &str,
    but: impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    for statement in hanging.iter().filter(|it| !but(it)) {
        let put = Unprepared(db).execute(AssertSqlSafe(statement.as_str()));
        if let Err(error) = put.await {
            let Some(refusal) = error.as_database_error() else {
                return Err(error.into());
            };
            let what = statement.split_whitespace().skip(3).take(2);
            let what = what.collect::<Vec<_>>().join(" ");
            let why = format!("{what} does not stand on {on}: {}", refusal.message());
            return Err(why.into());
        }
    }
    Ok(())
}

/// Lets the tables stand in a schema of their own, and answers the foreign keys
/// that led to them or from them, as statements.
pub(super) async fn step_aside(
    db: &mut Transaction,
    schema: &Schema,
    ports: &[String],
) -> sqlx::Result<Vec<String>> {
    let aside = schema.aside();
    let keys: Vec<(String, String)> = sqlx::query_as(
        "select format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)),
                format('alter table %s drop constraint %I', conrelid::regclass, conname)
           from pg_constraint
          where contype = 'f'
            and array[conrelid, confrelid] && (select array_agg(to_regclass(port)::oid) from unnest($1::text[]) as port)
          order by 1",
    )
    .bind(ports)
    .fetch_all(Unprepared(db))
    .await?;
    let create = format!("create schema if not exists \"{aside}\"");
    Unprepared(db).execute(AssertSqlSafe(create)).await?;
    for (_, away) in &keys {
        Unprepared(db).execute(AssertSqlSafe(away.as_str())).await?;
    }
    for port in ports {
        let away = format!("alter table {port} set schema \"{aside}\"");
        Unprepared(db).execute(AssertSqlSafe(away)).await?;
    }
    Ok(keys.into_iter().map(|(back, _)| back).collect())
}

/// Lets those of which the file made no view come back, and gives the rights on
/// the others to the views; answers the names of these.
pub(super) async fn step_back(
    db: &mut Transaction,
    schema: &Schema,
    ports: &[String],
) -> sqlx::Result<Vec<String>> {
    let aside = schema.aside();
    let mut adopted = Vec::new();
    for port in ports {
        let ask = "select to_regclass($1) is not null";
        if sqlx::query_scalar(ask)
            .bind(port)
            .fetch_one(Unprepared(db))
            .await?
        {
            adopted.push(port.clone());
        } else {
            let back = format!(
                "alter table \"{aside}\".{port} set schema \"{}\"",
                schema.name()
            );
            Unprepared(db).execute(AssertSqlSafe(back)).await?;
        }
    }
    let grants: Vec<String> = sqlx::query_scalar(
        "select distinct format('grant %s on %s to %s', given.privilege_type, port,
                       case when given.grantee = 0 then 'public' else given.grantee::regrole::text end)
           from unnest($1::text[]) as port
           join pg_class c
             on c.oid = to_regclass(format('%I.%I', $2, port))
          cross join lateral aclexplode(c.relacl) given
          where given.grantee <> c.relowner",
    )
    .bind(&adopted)
    .bind(aside)
    .fetch_all(Unprepared(db))
    .await?;
    for grant in grants {
        Unprepared(db).execute(AssertSqlSafe(grant)).await?;
    }
    Ok(adopted)
}

/// Adds the foreign keys between tables that are there, and answers the others.
pub(super) async fn put_back(db: &mut Transaction, keys: Vec<String>) -> sqlx::Result<Vec<String>> {
    let mut others = Vec::new();
    for key in keys {
        Unprepared(db).execute("savepoint key").await?;
        match Unprepared(db).execute(AssertSqlSafe(key.as_str())).await {
            Ok(_) => Unprepared(db).execute("release savepoint key").await?,
            Err(Error::Database(_)) => {
                others.push(key);
                Unprepared(db).execute("rollback to savepoint key").await?
            }
            Err(error) => return Err(error),
        };
    }
    Ok(others)
}

/// Adds the foreign keys again; answers how many hold for new rows only.
pub(super) async fn restore(db: &mut Transaction, keys: &[String]) -> sqlx::Result<usize> {
    let mut unchecked = 0;
    for key in keys {
        Unprepared(db).execute("savepoint part").await?;
        match Unprepared(db).execute(AssertSqlSafe(key.as_str())).await {
            Ok(_) => Unprepared(db).execute("release savepoint part").await?,
            Err(Error::Database(refusal)) if refusal.code().as_deref() == Some("23503") => {
                unchecked += 1;
                let undo = "rollback to savepoint part; release savepoint part";
                Unprepared(db).execute(undo).await?;
                let for_new_rows = format!("{key} not valid");
                Unprepared(db).execute(AssertSqlSafe(for_new_rows)).await?
            }
            Err(error) => return Err(error),
        };
    }
    Ok(unchecked)
}
