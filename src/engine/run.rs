//! A run as the ledger has it, and its results as one line.
//!
//! Owns how a run is read: one select for the engine, the views and the
//! answers. Writes nothing; that is [`super::ledger`]'s.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::Result;
use strum::{EnumString, IntoStaticStr, VariantArray};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::database::Unprepared;

/// The state of a run.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Serialize,
    ToSchema,
    sqlx::Type,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Status {
    /// In progress, or dead and not yet found.
    Running,
    /// All work is done.
    Succeeded,
    /// The budget was spent with work left.
    Partial,
    /// Nothing ran: another run was alive, or the job is paused.
    Skipped,
    /// It could not continue.
    Failed,
    /// It lost its lease, and committed nothing after that.
    Fenced,
    /// Its lease ran out; the next taker noticed.
    Abandoned,
}

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
    /// Its state.
    #[schema(value_type = String)]
    pub status: Status,
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
    /// Whether it was a dry run.
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
    /// Why it could not continue.
    pub error: Option<String>,
    /// Whether its checkpoint differs from the one it began at.
    #[serde(skip)]
    pub(super) checkpoint_moved: bool,
}

impl Run {
    /// These runs, the latest first.
    pub(crate) async fn of_ids(db: Unprepared<'_>, ids: &[Uuid]) -> Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"
            select id, job, shard, shard_count, status as "status: Status", trigger, actor, reason,
                   message_id, schedule_id, attempt, dry_run, options, continuation_of,
                   chain_position, published,
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
                   within_calendar(started_at) as "started_at!",
                   within_calendar(finished_at) as finished_at,
                   -- Not below zero, where the clock was set back meanwhile.
                   trunc(extract(
                       epoch from within_calendar(finished_at)
                                  - within_calendar(least(started_at, finished_at))
                   ) * 1000)::bigint as duration_ms,
                   results, error,
                   place is not null and place is distinct from (
                       select p.place
                         from job_runs p
                        where p.id = r.continuation_of
                   ) as "checkpoint_moved!"
              from job_runs r
             where id = any($1)
             order by started_at desc, id desc
            "#,
            ids,
        )
        .fetch_all(db)
        .await
    }

    /// The run of that id, if there is an id and a run.
    pub(crate) async fn find(
        db: Unprepared<'_>,
        id: impl Into<Option<Uuid>>,
    ) -> Result<Option<Self>> {
        match id.into() {
            Some(id) => Ok(Self::of_ids(db, &[id]).await?.pop()),
            None => Ok(None),
        }
    }

    /// The run of that id, which must be there.
    pub(super) async fn get(db: Unprepared<'_>, id: Uuid) -> Result<Self> {
        Self::find(db, id).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Whether a message or a run shows that its rest was asked for.
    pub(super) fn is_continued(&self) -> bool {
        !self.published.is_empty() || !self.children.is_empty()
    }

    /// Whether its results name something that went wrong.
    fn has_errors(&self) -> bool {
        let errors = self.results.get("errors").and_then(Value::as_array);
        errors.is_some_and(|errors| !errors.is_empty())
    }

    /// The run in one line: its counts that are not zero.
    #[must_use]
    pub fn message(&self) -> String {
        let summary = summary(&self.results);
        let (job, status) = (&self.job, self.status.name());
        let dry_run = if self.dry_run { " (dry run)" } else { "" };
        match self.status {
            Status::Running => format!("{job} is still running{dry_run}"),
            _ if !summary.is_empty() => format!("{job} {status}{dry_run}: {summary}"),
            _ if self.status.is_failure() || self.has_errors() => {
                format!("{job} {status}{dry_run}")
            }
            _ => format!("{job} {status}{dry_run}: nothing to do"),
        }
    }
}

/// The results of a run in one line: its texts, and its counts that are not
/// zero.
#[must_use]
pub fn summary(results: &Value) -> String {
    summary_with(results, |name, value| {
        value.is_number().then(|| format!("{name} {value}"))
    })
}

/// The same, with what `entry` makes of all that is neither a text nor zero.
pub fn summary_with(results: &Value, entry: impl Fn(&str, &Value) -> Option<String>) -> String {
    let entries = results.as_object().into_iter().flatten();
    let entries = entries.filter_map(|(name, value)| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(count) if count.as_f64() == Some(0.0) => None,
        _ => entry(name, value),
    });
    entries.collect::<Vec<_>>().join(", ")
}

impl Status {
    /// The word in `job_runs.status`, in answers and in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether a redelivery of its message is answered from the ledger
    /// instead of running again.
    #[must_use]
    pub fn is_final_for_its_message(self) -> bool {
        matches!(self, Self::Succeeded | Self::Partial | Self::Skipped)
    }

    /// Whether the run could not do its work.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Fenced | Self::Abandoned)
    }

    /// The word in `system_logs.level`.
    pub(super) fn level(self) -> &'static str {
        match self {
            Self::Failed => "error",
            Self::Fenced | Self::Abandoned => "warning",
            _ => "info",
        }
    }
}
