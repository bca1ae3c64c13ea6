//! Pausing a job, and resuming it.
//!
//! The one writer of `job_pauses`; the begin of a run reads it. Each change and
//! its row in `audit_events` are one statement, so that neither is without
//! the other, however often and however concurrently it is asked for. A pause
//! that is over stays as a row with its end, because the ticks that fell into
//! it are not expected. One that an operator ended is over by a flag, so that
//! no clock that is set back begins it anew.

use chrono::{DateTime, Utc};

use super::ledger::kept;
use super::{Job, JobError, Runner, context};
use crate::database::{self, TxLimits};
use crate::foreign_text::ForeignText;

/// The longest pause with an end, as an interval of Postgres.
const MAX_PAUSE: &str = "1 year";

/// A pause to be written.
#[derive(Debug, Clone, Default)]
pub struct NewPause {
    /// Why.
    pub reason: Option<ForeignText>,
    /// Until when; unset, until an operator resumes the job.
    pub until: Option<DateTime<Utc>>,
}

impl Runner {
    /// Pauses `job`, in place of any pause before; `false` when `until` has
    /// passed or lies more than a year ahead, by the database's clock.
    pub(crate) async fn pause(
        &self,
        job: &Job,
        pause: &NewPause,
        by: Option<&str>,
    ) -> Result<bool, JobError> {
        let by = kept(by);
        let paused = sqlx::query!(
            "with paused as (
                insert into job_pauses as p (job, reason, paused_by, paused_at, until)
                select $1, $2, $3::text, clock_timestamp(), $4::timestamptz
                 where $4::timestamptz is null
                    or $4::timestamptz between clock_timestamp()
                                           and clock_timestamp() + $5::text::interval
                    on conflict (job) do update
                   set reason = excluded.reason,
                       paused_by = excluded.paused_by,
                       paused_at = excluded.paused_at,
                       until = excluded.until,
                       resumed = false
                returning p.job, p.reason, p.paused_at, p.until
            )
            insert into audit_events (event_type, entity_type, entity_id, actor, payload, occurred_at)
            select 'local.job.paused', 'job', job, coalesce($3::text, 'operator'),
                   jsonb_build_object('reason', reason, 'until', until), paused_at
              from paused",
            job.name,
            pause.reason.as_deref(),
            by.as_deref(),
            pause.until,
            MAX_PAUSE,
        );
        let written = database::execute(&self.db, TxLimits::CONTROL, paused).await;
        Ok(written.map_err(context("pause the job"))? == 1)
    }

    /// Ends the pause of `job`; `false` when there was none.
    pub(crate) async fn resume(&self, job: &Job, by: Option<&str>) -> Result<bool, JobError> {
        let by = kept(by);
        let resumed = sqlx::query!(
            "with resumed as (
                update job_pauses
                   set until = clock_timestamp(),
                       resumed = true
                 where job = $1
                   and pause_holds(until, resumed)
                returning job, reason, paused_by, paused_at, until
            )
            insert into audit_events (event_type, entity_type, entity_id, actor, payload, occurred_at)
            select 'local.job.resumed', 'job', job, coalesce($2::text, 'operator'),
                   jsonb_build_object('reason', reason, 'paused_by', paused_by,
                                      'paused_at', paused_at),
                   until
              from resumed",
            job.name,
            by.as_deref(),
        );
        let written = database::execute(&self.db, TxLimits::CONTROL, resumed).await;
        Ok(written.map_err(context("resume the job"))? == 1)
    }
}
