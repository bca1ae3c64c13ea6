//! Punctuality: does the scheduler still call, job by job?
//!
//! A job is overdue when a tick of its schedule and `overdue_after` have
//! passed with nothing delivered for it. Any real run that a schedule of
//! QStash's asked for counts as delivered, also one that failed or was
//! skipped: the scheduler is not silent. What an operator called, what this
//! service sent to itself (continuations, shards) and dry runs do not count.
//! Ticks are expected from the first migration on, and from the end of a
//! pause on: the ticks of a pause are not expected.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::Result;
use utoipa::ToSchema;

use super::Views;
use crate::database::{Transaction, Unprepared};
use crate::engine::{JobError, Registry, context};
use crate::qstash::schedules::{Schedule, Schedules};

/// Whether a job is called at its times.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Punctuality {
    /// The job.
    pub(crate) job: String,
    /// In a word.
    pub(crate) state: State,
    /// Seconds since it became overdue; 0 when it is not.
    pub(crate) overdue_seconds: i64,
    /// When it was due last, since the first migration.
    pub(crate) last_expected_tick: Option<DateTime<Utc>>,
    /// When QStash called it last.
    pub(crate) last_delivery: Option<DateTime<Utc>>,
}

/// Whether a job is called at its times, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// The scheduler calls, or has time left to.
    OnTime,
    /// It does not.
    Overdue,
    /// The job is not to run, so no call is expected.
    Paused,
}

impl Punctuality {
    /// Whether a call is missing.
    pub(crate) fn is_overdue(&self) -> bool {
        self.state == State::Overdue
    }
}

impl Views {
    /// Whether each scheduled job is called at its times.
    pub(crate) async fn punctuality(&self) -> std::result::Result<Vec<Punctuality>, JobError> {
        let mut tx = self.reading().await?;
        punctuality(&mut tx, self.jobs)
            .await
            .map_err(context("read the deliveries"))
    }
}

/// Whether each scheduled job is called at its times.
pub(super) async fn punctuality(db: &mut Transaction, jobs: Registry) -> Result<Vec<Punctuality>> {
    let deployed = Schedules::deployed();
    let moments = sqlx::query!(
        r#"
        select clock_timestamp() as "now!",
               within_calendar(min(installed_on)) as first_migration
          from _sqlx_migrations
         where success
        "#
    )
    .fetch_one(Unprepared(db))
    .await?;
    let now = moments.now;
    let first = moments.first_migration.unwrap_or(now);
    let deliveries = deliveries(Unprepared(db), jobs).await?;
    let judged = deliveries.iter().filter_map(|delivered| {
        let schedule = deployed.of(&delivered.job)?;
        Some(judge(deployed, schedule, delivered, first, now))
    });
    Ok(judged.collect())
}

/// Judges the deliveries since the `first` migration.
fn judge(
    deployed: &Schedules,
    schedule: &Schedule,
    delivered: &Delivered,
    first: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Punctuality {
    let since = delivered.pause_ended_at.map_or(first, |at| at.max(first));
    let overdue = if delivered.is_paused {
        TimeDelta::zero()
    } else {
        deployed.overdue(schedule, since, delivered.at, now)
    };
    let state = match delivered.is_paused {
        true => State::Paused,
        false if overdue > TimeDelta::zero() => State::Overdue,
        false => State::OnTime,
    };
    Punctuality {
        job: delivered.job.clone(),
        state,
        overdue_seconds: overdue.num_seconds(),
        last_expected_tick: deployed
            .last_tick(schedule, now)
            .filter(|tick| *tick >= first),
        last_delivery: delivered.at,
    }
}

struct Delivered {
    job: String,
    at: Option<DateTime<Utc>>,
    is_paused: bool,
    pause_ended_at: Option<DateTime<Utc>>,
}

async fn deliveries(db: Unprepared<'_>, jobs: Registry) -> Result<Vec<Delivered>> {
    let names: Vec<String> = jobs.iter().map(|job| job.name.to_owned()).collect();
    sqlx::query_as!(
        Delivered,
        r#"
        select j.job as "job!",
               (select within_calendar(started_at)
                  from job_runs r
                 where r.job = j.job
                   and trigger = 'qstash'
                   and not dry_run
                   and not options ?| array['continuation_of', 'shard']
                   -- A clock that was set back shows no delivery of the future.
                   and started_at <= clock_timestamp()
                   -- An operator at a command line played the scheduler.
                   and (message_id is null or message_id not like 'msg\_cli\_%')
                 order by started_at desc
                 limit 1) as at,
               p.job is not null
                   and pause_holds(p.until, p.resumed) as "is_paused!",
               case
                   when not pause_holds(p.until, p.resumed)
                   then within_calendar(least(p.until, clock_timestamp()))
               end as pause_ended_at
          from unnest($1::text[]) with ordinality as j (job, position)
          left join job_pauses p on p.job = j.job
         order by j.position
        "#,
        &names,
    )
    .fetch_all(db)
    .await
}
