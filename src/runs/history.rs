//! The runs as operators read them: those of a job, page by page, and one.
//!
//! Read only, each question in one short transaction. How a run came about
//! and ended is [`super::ledger`]'s business.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, Postgres, Transaction};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Runner, Status};
use crate::database::{self, TxLimits, Unnamed};
use crate::jobs::{Job, Stop, during};

/// A run, with all the ledger knows of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Run {
    /// The run.
    #[serde(rename = "run_id")]
    pub id: Uuid,
    /// Its job.
    pub job: String,
    /// Its shard, 0 when the work was not divided, -1 when it only divided it.
    pub shard: i32,
    /// How many shards there are.
    pub shard_count: i32,
    /// How it stands.
    pub status: String,
    /// Which way the call came: `qstash`, `operator` or `cli`.
    pub trigger: String,
    /// Who called, as they say.
    pub actor: Option<String>,
    /// Why, as they say.
    pub reason: Option<String>,
    /// QStash's message.
    pub message_id: Option<String>,
    /// The schedule it came from.
    pub schedule_id: Option<String>,
    /// From 1; counts the runs of one message.
    pub attempt: i32,
    /// Whether it only rehearsed.
    pub dry_run: bool,
    /// What was asked of it.
    #[schema(value_type = Object)]
    pub options: Value,
    /// The run whose rest, or whose shard, this one does.
    pub continuation_of: Option<Uuid>,
    /// Which link of a chain of continuations it is, from 1.
    pub chain_position: i32,
    /// QStash's ids of the messages that it published.
    pub published: Vec<String>,
    /// The runs that its messages led to, skipped ones and retries included.
    pub children: Vec<Uuid>,
    /// On the database's clock.
    pub started_at: DateTime<Utc>,
    /// On the database's clock; unset while running.
    pub finished_at: Option<DateTime<Utc>>,
    /// Milliseconds from begin to settle; unset while running.
    pub duration_ms: Option<i64>,
    /// What it committed.
    #[schema(value_type = Object)]
    pub results: Value,
    /// Why it could not go on.
    pub error: Option<String>,
}

/// Which runs of a job are wanted, the latest first.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Only runs in this status.
    pub status: Option<Status>,
    /// Only runs before this one.
    pub before: Option<Uuid>,
    /// At most so many.
    pub limit: u16,
}

impl Runner {
    /// Runs of `job`, the latest first; `None` when `page.before` is none of
    /// them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn runs_of(&self, job: &Job, page: Page) -> Result<Option<Vec<Run>>, Stop> {
        let mut tx = self.reading().await?;
        runs_of(&mut tx, job, page)
            .await
            .map_err(during("read the runs"))
    }

    /// One run.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn run(&self, id: Uuid) -> Result<Option<Run>, Stop> {
        let mut tx = self.reading().await?;
        let found = runs(Unnamed(&mut tx), &[id])
            .await
            .map_err(during("read the run"))?;
        Ok(found.into_iter().next())
    }

    pub(super) async fn reading(&self) -> Result<Transaction<'static, Postgres>, Stop> {
        database::begin(&self.db, TxLimits::READ)
            .await
            .map_err(during("begin to read"))
    }
}

async fn runs_of(db: &mut PgConnection, job: &Job, page: Page) -> sqlx::Result<Option<Vec<Run>>> {
    let before = match page.before {
        None => None,
        Some(id) => match runs(Unnamed(db), &[id]).await?.first() {
            Some(run) if run.job == job.name => Some((run.started_at, run.id)),
            _ => return Ok(None),
        },
    };
    let ids = ids_of(Unnamed(db), job.name, page, before).await?;
    runs(Unnamed(db), &ids).await.map(Some)
}

/// These runs, the latest first.
pub(super) async fn runs(db: Unnamed<'_>, ids: &[Uuid]) -> sqlx::Result<Vec<Run>> {
    sqlx::query_as!(
        Run,
        r#"
        select id, job, shard, shard_count, status, trigger, actor, reason, message_id, schedule_id,
               attempt, dry_run, options, continuation_of, chain_position, published,
               array(
                   select c.id
                     from job_runs c
                    where c.continuation_of = r.id
                   union
                   select c.id
                     from job_runs c
                    where c.message_id = any(r.published)
                      and c.job = r.job
                    order by id
               ) as "children!",
               started_at, finished_at,
               trunc(extract(epoch from finished_at - started_at) * 1000)::bigint as duration_ms,
               results, error
          from job_runs r
         where id = any($1)
         order by started_at desc, id desc
        "#,
        ids,
    )
    .fetch_all(db)
    .await
}

async fn ids_of(
    db: Unnamed<'_>,
    job: &str,
    page: Page,
    before: Option<(DateTime<Utc>, Uuid)>,
) -> sqlx::Result<Vec<Uuid>> {
    let (moment, id) = before.unzip();
    sqlx::query_scalar!(
        "select id
           from job_runs
          where job = $1
            and ($2::text is null or status = $2)
            and ($3::timestamptz is null or (started_at, id) < ($3, $4::uuid))
          order by started_at desc, id desc
          limit $5",
        job,
        page.status.map(Status::name),
        moment,
        id,
        i64::from(page.limit),
    )
    .fetch_all(db)
    .await
}
