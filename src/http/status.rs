//! The state of a job, as operators read it: its schedule, its ticks, its runs.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::{Job, Registry, Run};
use crate::qstash::schedules::Schedules;
use crate::views::overview::Figures;
use crate::views::punctuality::Punctuality;
use crate::views::standing::Pause;

/// The state of a job, and when it is due.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobStatus {
    /// The job.
    pub(super) job: &'static str,
    /// What it does, in a sentence.
    pub(super) description: &'static str,
    /// Its schedule's id at QStash.
    pub(super) schedule_id: Option<&'static str>,
    /// Its schedule as a cron expression of five fields.
    pub(super) schedule: Option<&'static str>,
    /// The zone that the schedule is meant in.
    pub(super) time_zone: &'static str,
    /// When it is due next.
    pub(super) next_tick: Option<DateTime<Utc>>,
    /// When it was due last, since the first migration.
    pub(super) last_expected_tick: Option<DateTime<Utc>>,
    /// When QStash called it last.
    pub(super) last_delivery: Option<DateTime<Utc>>,
    /// Whether a call of QStash's is missing.
    pub(super) overdue: bool,
    /// Seconds since it became overdue; 0 when it is not.
    pub(super) overdue_seconds: i64,
    /// The pause in force.
    pub(super) pause: Option<Pause>,
    /// Its latest run that was no dry run.
    pub(super) last_run: Option<Run>,
    /// Its latest run that did all its work.
    pub(super) last_success: Option<Run>,
}

impl JobStatus {
    /// The state of every job, in the order of the registry.
    pub(super) fn of_all(jobs: Registry, figures: &Figures) -> Vec<Self> {
        jobs.iter().map(|job| Self::of(job, figures)).collect()
    }

    /// The state of one job.
    pub(super) fn of(job: &Job, figures: &Figures) -> Self {
        let standing = figures.standings.get(job.name).cloned().unwrap_or_default();
        let punctuality = figures.punctuality.iter().find(|of| of.job == job.name);
        let deployed = Schedules::deployed();
        let schedule = deployed.of(job.name);
        Self {
            job: job.name,
            description: schedule.map_or("", |schedule| &schedule.description),
            schedule_id: schedule.map(|schedule| schedule.id.as_str()),
            schedule: schedule.map(|schedule| schedule.cron.as_str()),
            time_zone: deployed.timezone.name(),
            next_tick: schedule.and_then(|schedule| deployed.next_tick(schedule, figures.at)),
            last_expected_tick: punctuality.and_then(|of| of.last_expected_tick),
            last_delivery: punctuality.and_then(|of| of.last_delivery),
            overdue: punctuality.is_some_and(Punctuality::is_overdue),
            overdue_seconds: punctuality.map_or(0, |of| of.overdue_seconds),
            pause: standing.pause,
            last_run: standing.last_run,
            last_success: standing.last_success,
        }
    }
}
