//! What is on record of adoptions, and where our own tables stand meanwhile.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::Result;
use sqlx::types::Json;
use uuid::Uuid;

use super::aside::Hanging;
use super::contract;
use crate::database::{Transaction, Unprepared};

/// One adoption that is in force.
#[derive(Debug, sqlx::FromRow)]
pub struct Adoption {
    /// Its row.
    pub id: Uuid,
    /// The tables that gave way.
    pub ports: Vec<String>,
    /// The file that made the views.
    pub file_name: String,
    /// Of the file's text.
    pub file_sha256: String,
    /// The version of the contract that was checked.
    pub contract: i32,
    /// When it was applied.
    pub applied_at: DateTime<Utc>,
    /// Who applied it.
    pub applied_by: String,
    /// Whether a view was replaced since it was checked.
    pub is_changed: bool,
    pub(super) created: Json<Vec<Created>>,
    pub(super) foreign_keys: Vec<String>,
}

/// Something that the file created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub(super) struct Created {
    /// The catalog that has it.
    pub(super) class: String,
    /// Its number there; another one after a restore.
    pub(super) oid: i64,
    /// What it is, as a `drop` has it.
    pub(super) kind: String,
    /// How it is called in full; otherwise after the host has renamed a table.
    pub(super) identity: String,
    /// Its own name.
    pub(super) name: String,
    /// What a trigger calls.
    pub(super) calls: Option<String>,
}

/// The adoptions that are in force.
///
/// # Errors
/// When the database cannot be read.
pub async fn adoptions(db: Unprepared<'_>) -> Result<Vec<Adoption>> {
    let read = format!(
        "select id, ports, file_name, file_sha256, contract, applied_at, applied_by, created,
                foreign_keys, views_md5 is distinct from ({VIEWS_MD5}) as is_changed
           from adoptions
          where dropped_at is null
          order by applied_at"
    );
    sqlx::query_as(sqlx::AssertSqlSafe(read))
        .fetch_all(db)
        .await
}

/// Whether the database has our record of them.
///
/// # Errors
/// When the database cannot be read.
pub async fn has_record(db: &mut Transaction) -> Result<bool> {
    sqlx::query_scalar("select to_regclass('adoptions') is not null")
        .fetch_one(Unprepared(db))
        .await
}

/// Of the views that stand for `ports`.
const VIEWS_MD5: &str = "
    select md5(coalesce(string_agg(pg_get_viewdef(c.oid), ';' order by port), ''))
      from unnest(ports) as port
      join pg_class c
        on c.oid = to_regclass(port)
       and c.relkind = 'v'";

/// What is new on record.
pub(super) struct New<'a> {
    pub(super) ports: &'a [String],
    pub(super) file_name: &'a str,
    pub(super) file_sha256: &'a str,
    pub(super) created: &'a [Created],
    pub(super) foreign_keys: &'a [String],
    pub(super) hanging: &'a [Hanging],
    pub(super) actor: Option<&'a str>,
}

pub(super) async fn insert(db: &mut Transaction, new: New<'_>) -> Result<()> {
    let insert = format!(
        "insert into adoptions (ports, file_name, file_sha256, contract, created, foreign_keys, hanging, applied_by, views_md5)
         select ports, $2, $3, $4, $5, $6, $7, coalesce($8, session_user), ({VIEWS_MD5})
           from (select $1::text[] as ports) new"
    );
    sqlx::query(sqlx::AssertSqlSafe(insert))
        .bind(new.ports)
        .bind(new.file_name)
        .bind(new.file_sha256)
        .bind(contract::VERSION)
        .bind(Json(new.created))
        .bind(new.foreign_keys)
        .bind(Json(new.hanging))
        .bind(new.actor)
        .execute(Unprepared(db))
        .await
        .map(drop)
}

/// What the last adoption of these ports left, because rows were in it: the next
/// one takes it over.
pub(super) async fn left(db: Unprepared<'_>, ports: &[String]) -> Result<Vec<Created>> {
    let left: Option<Json<Vec<Created>>> = sqlx::query_scalar(
        "select created
           from adoptions
          where dropped_at is not null
            and ports && $1
          order by dropped_at desc
          limit 1",
    )
    .bind(ports)
    .fetch_optional(db)
    .await?;
    Ok(left.map(|left| left.0).unwrap_or_default())
}

/// Gives the foreign keys that one adoption cannot add again yet to another that
/// is in force; whether there is one.
pub(super) async fn hand_on(db: Unprepared<'_>, id: Uuid, keys: &[String]) -> Result<bool> {
    let give = "update adoptions
                   set foreign_keys = foreign_keys || $2
                 where id = (
                     select id
                       from adoptions
                      where dropped_at is null
                        and id <> $1
                      order by applied_at
                      limit 1
                 )";
    let given = sqlx::query(give).bind(id).bind(keys).execute(db).await?;
    Ok(given.rows_affected() > 0)
}

/// What earlier adoptions left, each part once.
pub(super) async fn all_left(db: Unprepared<'_>) -> Result<Vec<Created>> {
    let left: Option<Json<Vec<Created>>> = sqlx::query_scalar(
        "select jsonb_agg(distinct part)
           from adoptions
          cross join jsonb_array_elements(created) part
          where dropped_at is not null",
    )
    .fetch_one(db)
    .await?;
    Ok(left.map(|left| left.0).unwrap_or_default())
}

/// Nothing is left of them.
pub(super) async fn forget_left(db: Unprepared<'_>) -> Result<()> {
    let forget = "update adoptions
                     set created = '[]'
                   where dropped_at is not null
                     and created <> '[]'";
    sqlx::query(forget).execute(db).await.map(drop)
}

/// Ends it; `left` is what stays of what it created.
pub(super) async fn end(
    db: Unprepared<'_>,
    id: Uuid,
    left: &[Created],
    actor: Option<&str>,
) -> Result<()> {
    sqlx::query(
        "update adoptions
            set dropped_at = now(),
                dropped_by = coalesce($3, session_user),
                created = $2
          where id = $1",
    )
    .bind(id)
    .bind(Json(left))
    .bind(actor)
    .execute(db)
    .await
    .map(drop)
}
