//! Our own tables step aside while a host's views stand for them, and come back.
//!
//! They stay whole: with their columns, indexes and triggers, empty, in a
//! schema beside ours, where migrations find them. What hangs on them is put on
//! whatever has their names.

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Error, Executor};
use uuid::Uuid;

use super::apply::Refusal;
use crate::database::{Schema, Transaction, Unprepared};

/// A view or a function that looks at tables which give way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub(super) struct Hanging {
    /// `view` or `function`.
    kind: String,
    /// How Postgres calls it, in full.
    pub(super) identity: String,
    /// What puts it on whatever has their names then.
    statement: String,
}

impl Hanging {
    /// Whether it is the view of that name.
    pub(super) fn is_view(&self, identity: &str) -> bool {
        self.kind == "view" && self.identity == identity
    }
}

pub(super) async fn hanging(db: Unprepared<'_>, ports: &[String]) -> sqlx::Result<Vec<Hanging>> {
    sqlx::query_as(
        "select distinct called.type as kind, called.identity, case
                    when d.classid = 'pg_proc'::regclass then pg_get_functiondef(d.objid)
                    else format('create or replace view %s%s as %s', called.identity,
                                (select ' with (' || array_to_string(c.reloptions, ', ') || ')'
                                   from pg_class c
                                  where c.oid = r.ev_class),
                                pg_get_viewdef(r.ev_class))
                end as statement
           from pg_depend d
           left join pg_rewrite r
             on d.classid = 'pg_rewrite'::regclass
            and r.oid = d.objid
           cross join lateral pg_identify_object(
               case when r.oid is null then d.classid else 'pg_class'::regclass end,
               coalesce(r.ev_class, d.objid),
               0
           ) called
          where d.refclassid = 'pg_class'::regclass
            and d.refobjid in (select to_regclass(port) from unnest($1::text[]) as port)
            and (
                d.classid = 'pg_proc'::regclass
                or called.type = 'view' and r.rulename = '_RETURN' and r.ev_class <> d.refobjid
            )",
    )
    .bind(ports)
    .fetch_all(db)
    .await
}

/// Those on record of the adoptions in force, or of this one, that are there no
/// more: the host may drop a table of its own with all that hangs on it.
pub(super) async fn gone(db: Unprepared<'_>, adoption: Option<Uuid>) -> sqlx::Result<Vec<Hanging>> {
    sqlx::query_as(
        "select kind, identity, statement
           from adoptions
          cross join jsonb_to_recordset(hanging) as recorded (kind text, identity text, statement text)
          where dropped_at is null
            and id = coalesce($1, id)
            and case kind
                    when 'view' then to_regclass(identity)::oid
                    else to_regprocedure(identity)::oid
                end is null",
    )
    .bind(adoption)
    .fetch_all(db)
    .await
}

/// Puts them there.
pub(super) async fn put(
    db: &mut Transaction,
    hanging: impl Iterator<Item = &Hanging>,
    on: &str,
) -> Result<(), Refusal> {
    for Hanging {
        kind,
        identity,
        statement,
    } in hanging
    {
        let put = Unprepared(db).execute(AssertSqlSafe(statement.as_str()));
        if let Err(error) = put.await {
            let Some(refusal) = error.as_database_error() else {
                return Err(error.into());
            };
            let why = refusal.message();
            return Err(format!("{kind} {identity} does not stand on {on}: {why}").into());
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
        let ask = "select to_regclass(format('%I.%I', $1, $2)) is not null";
        if sqlx::query_scalar(ask)
            .bind(schema.name())
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
    take_over(db, &aside, schema.name(), &adopted).await?;
    Ok(adopted)
}

/// Gives the rights that others have to these in one schema, to those in the other.
pub(super) async fn take_over(
    db: &mut Transaction,
    from: &str,
    to: &str,
    ports: &[String],
) -> sqlx::Result<()> {
    let grants: Vec<String> = sqlx::query_scalar(
        "select distinct format('grant %s on %I.%I to %s', given.privilege_type, $3, port,
                       case when given.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(given.grantee)) end)
           from unnest($1::text[]) as port
           join pg_class c
             on c.oid = to_regclass(format('%I.%I', $2, port))
          cross join lateral aclexplode(c.relacl) given
          where given.grantee <> c.relowner",
    )
    .bind(ports)
    .bind(from)
    .bind(to)
    .fetch_all(Unprepared(db))
    .await?;
    for grant in grants {
        Unprepared(db).execute(AssertSqlSafe(grant)).await?;
    }
    Ok(())
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

/// Adds the foreign keys again; answers how many hold for new rows only, and
/// those that lead to a table which still stands aside.
pub(super) async fn restore(
    db: &mut Transaction,
    keys: &[String],
) -> sqlx::Result<(usize, Vec<String>)> {
    let (mut unchecked, mut waiting) = (0, Vec::new());
    for key in keys {
        Unprepared(db).execute("savepoint part").await?;
        let refusal = match Unprepared(db).execute(AssertSqlSafe(key.as_str())).await {
            Ok(_) => {
                Unprepared(db).execute("release savepoint part").await?;
                continue;
            }
            Err(Error::Database(refusal)) => refusal,
            Err(error) => return Err(error),
        };
        let undo = "rollback to savepoint part; release savepoint part";
        Unprepared(db).execute(undo).await?;
        match refusal.code().as_deref() {
            Some("23503") => {
                unchecked += 1;
                let for_new_rows = format!("{key} not valid");
                Unprepared(db).execute(AssertSqlSafe(for_new_rows)).await?;
            }
            // One of the two is a view.
            Some("42809") => waiting.push(key.clone()),
            _ => return Err(Error::Database(refusal)),
        }
    }
    Ok((unchecked, waiting))
}
