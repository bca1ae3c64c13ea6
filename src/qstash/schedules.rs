//! The schedules: which job is called when, as `qstash-schedules.json` says.
//!
//! Owns the meaning of that file, and promises that a file that is read is
//! valid: all its faults are reported at once ([`Faults`]). It is part of this
//! binary, so that a replica needs no file beside it and knows the schedules
//! that were deployed with it. Nothing here calls a job; QStash does.

use std::str::FromStr;
use std::sync::LazyLock;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use serde_json::{Map, Value};

use super::delivery::Delivery;

pub mod clock_changes;
mod cron;
mod deliveries;
mod faults;
mod file;

pub use deliveries::Deliveries;
pub use faults::Faults;

/// The file.
const FILE: &str = include_str!("../../qstash-schedules.json");

/// The prefix of our schedules' ids; all others of the account are foreign.
pub const PREFIX: &str = "jarvis-";

/// Replaced by that setting, so that one file serves every environment.
const PUBLIC_URL: &str = "${PUBLIC_URL}";

/// When the jobs are called.
#[derive(Debug, Clone)]
pub struct Schedules {
    /// Where QStash reaches the service, as it is written.
    base_url: String,
    /// The zone that the cron expressions are meant in.
    pub timezone: Tz,
    /// One for each job that is scheduled, in the file's order.
    pub schedules: Vec<Schedule>,
    /// How a job without a schedule is delivered.
    defaults: Delivery,
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
    /// What the job does, for people.
    pub description: String,
    /// How long after an expected tick a missing delivery counts as overdue.
    pub overdue_after: TimeDelta,
    /// The job's options, delivered as the body: a JSON object.
    pub body: Value,
    /// How it is delivered.
    pub delivery: Delivery,
}

/// The jobs that a file is checked against.
pub struct Jobs<'a> {
    /// All there are.
    pub names: &'a [&'a str],
    /// Whether a job accepts a body; the error when it does not.
    pub accepts: &'a Accepts,
}

/// A job's check of a body, by the job's name.
pub type Accepts = dyn Fn(&str, &Map<String, Value>) -> Result<(), String>;

impl Schedules {
    /// Reads a file that has to fit these jobs, each called by one schedule at the most.
    ///
    /// # Errors
    /// All faults, each with its place.
    pub fn read(text: &str, jobs: &Jobs<'_>) -> Result<Self, Faults> {
        file::read(text, Some(jobs))
    }

    /// The text of what was deployed with this binary.
    #[must_use]
    pub fn deployed_text() -> &'static str {
        FILE
    }

    /// What was deployed with this binary.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the file is part of the binary, and a test reads it"
    )]
    pub fn deployed() -> &'static Self {
        static DEPLOYED: LazyLock<Schedules> =
            LazyLock::new(|| FILE.parse().expect("qstash-schedules.json is valid"));
        &DEPLOYED
    }

    /// The schedule of `job`.
    #[must_use]
    pub fn of(&self, job: &str) -> Option<&Schedule> {
        self.schedules.iter().find(|schedule| schedule.job == job)
    }

    /// How a continuation of `job` is delivered.
    #[must_use]
    pub fn delivery_of(&self, job: &str) -> &Delivery {
        let schedule = self.of(job);
        schedule.map_or(&self.defaults, |schedule| &schedule.delivery)
    }

    /// Those of these jobs.
    #[must_use]
    pub fn only(mut self, jobs: &[&str]) -> Self {
        self.schedules.retain(|it| jobs.contains(&&*it.job));
        self
    }

    /// Where QStash is to call, when `public_url` is this service's setting.
    #[must_use]
    pub fn base_url<'a>(&'a self, public_url: &'a str) -> &'a str {
        if self.base_url == PUBLIC_URL {
            public_url
        } else {
            &self.base_url
        }
    }

    /// The next tick of `schedule` after `moment`; `None` when there is none. A
    /// tick in an hour that is skipped in spring is due when that hour ends.
    #[must_use]
    pub fn next_tick(&self, schedule: &Schedule, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = moment.with_timezone(&self.timezone);
        let next = schedule.cron.find_next_occurrence(&local, false).ok()?;
        Some(next.with_timezone(&Utc))
    }
}

/// Not checked against the jobs.
impl FromStr for Schedules {
    type Err = Faults;

    fn from_str(text: &str) -> Result<Self, Faults> {
        file::read(text, None)
    }
}
