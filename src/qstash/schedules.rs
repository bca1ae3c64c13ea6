//! The schedules: which job is called when, as `qstash-schedules.json` says.
//!
//! Owns how that file is read. It is part of this binary, so that a replica
//! needs no file beside it and says of its schedules what was deployed with
//! it. Nothing here calls a job: that is the scheduler's work.

use std::str::FromStr;
use std::sync::LazyLock;

use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::Deserialize;
use serde_json::Value;

use super::delivery::Delivery;

/// The file.
const FILE: &str = include_str!("../../qstash-schedules.json");

/// When the jobs are called.
#[derive(Debug, Clone)]
pub struct Schedules {
    /// The zone that the cron expressions are meant in.
    pub timezone: Tz,
    /// One for each job.
    pub schedules: Vec<Schedule>,
}

/// When one job is called.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Its id at QStash.
    pub id: String,
    /// The job.
    pub job: String,
    /// Five fields: minute, hour, day of the month, month, day of the week.
    pub cron: Cron,
    /// What is done then, for people.
    pub description: String,
    /// How long after an expected tick a missing delivery counts as overdue.
    pub overdue_after: TimeDelta,
    /// The job's options, delivered as the body.
    pub body: Value,
    /// How it is delivered.
    pub delivery: Delivery,
}

impl Schedules {
    /// What was deployed with this binary.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the file is part of the binary, and a test reads it"
    )]
    pub fn deployed() -> &'static Self {
        static DEPLOYED: LazyLock<Schedules> =
            LazyLock::new(|| FILE.parse().expect("qstash-schedules.json is sound"));
        &DEPLOYED
    }

    /// The schedule of `job`.
    #[must_use]
    pub fn of(&self, job: &str) -> Option<&Schedule> {
        self.schedules.iter().find(|schedule| schedule.job == job)
    }

    /// When `schedule` is due next after `moment`; `None` when it never is. An
    /// hour that a night in spring skips is due as that night's clock goes on.
    #[must_use]
    pub fn next_tick(&self, schedule: &Schedule, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = moment.with_timezone(&self.timezone);
        let next = schedule.cron.find_next_occurrence(&local, false).ok()?;
        Some(next.with_timezone(&Utc))
    }
}

impl FromStr for Schedules {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let file: File = serde_json::from_str(text).context("read the schedules")?;
        let timezone = file
            .timezone
            .parse()
            .with_context(|| format!("timezone {:?}", file.timezone))?;
        let schedules = file
            .schedules
            .into_iter()
            .map(|entry| entry.delivered(&file.defaults))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            timezone,
            schedules,
        })
    }
}

/// The file as it is written; what only QStash is told is not read here.
#[derive(Deserialize)]
struct File {
    timezone: String,
    defaults: Delivery,
    schedules: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    job: String,
    cron: String,
    description: String,
    overdue_after: String,
    body: Value,
}

impl Entry {
    fn delivered(self, delivery: &Delivery) -> anyhow::Result<Schedule> {
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(&self.cron)
            .with_context(|| format!("cron {:?} of {}", self.cron, self.id))?;
        ensure!(!self.id.is_empty(), "a schedule has no id");
        let overdue_after = humantime::parse_duration(&self.overdue_after)
            .with_context(|| format!("overdue_after {:?} of {}", self.overdue_after, self.id))?;
        Ok(Schedule {
            id: self.id,
            job: self.job,
            cron,
            description: self.description,
            overdue_after: TimeDelta::from_std(overdue_after).context("overdue_after")?,
            body: self.body,
            delivery: delivery.clone(),
        })
    }
}
