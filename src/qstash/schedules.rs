//! The schedules: which job is called when, as `qstash-schedules.json` says.
//!
//! Owns how that file is read. It is part of this binary, so that a replica
//! needs no file beside it and says of its schedules what was deployed with
//! it. Nothing here calls a job: that is the scheduler's work.

use std::str::FromStr;
use std::sync::LazyLock;

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::Deserialize;

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
            .map(Schedule::try_from)
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            timezone,
            schedules,
        })
    }
}

impl TryFrom<Entry> for Schedule {
    type Error = anyhow::Error;

    fn try_from(entry: Entry) -> anyhow::Result<Self> {
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(&entry.cron)
            .with_context(|| format!("cron {:?} of {}", entry.cron, entry.id))?;
        ensure!(!entry.id.is_empty(), "a schedule has no id");
        Ok(Self {
            id: entry.id,
            job: entry.job,
            cron,
            description: entry.description,
        })
    }
}

/// The file as it is written; what only QStash is told is not read here.
#[derive(Deserialize)]
struct File {
    timezone: String,
    schedules: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    job: String,
    cron: String,
    description: String,
}
