//! How `qstash-schedules.json` is read: by serde, then checked in one step
//! that reports every fault.
//!
//! Its shape is also written down for editors, in
//! `deploy/qstash-schedules.schema.json`. The checks here go further: they
//! parse cron expressions and ask each job whether it accepts its body.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use chrono_tz::Tz;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::{Faults, Jobs, PREFIX, PUBLIC_URL, Schedule, Schedules, cron};
use crate::qstash::delivery::Delivery;

/// The longest id.
const LONGEST_ID: usize = 64;
/// The most retries; QStash's plans allow fewer.
const MOST_RETRIES: u32 = 10;

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct File {
    #[serde(rename = "$schema")]
    _schema: Option<IgnoredAny>,
    base_url: String,
    timezone: String,
    defaults: Delivery,
    schedules: Vec<Entry>,
}

/// A schedule as it is written: what it does not say of its delivery, the
/// defaults say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Entry {
    id: String,
    job: String,
    cron: String,
    description: String,
    overdue_after: String,
    body: Map<String, Value>,
    retries: Option<u32>,
    timeout: Option<String>,
    failure_callback: Option<String>,
    redact_authorization: Option<bool>,
}

/// Reads the file; with `jobs`, it also has to fit them.
pub(super) fn read(text: &str, jobs: Option<&Jobs<'_>>) -> Result<Schedules, Faults> {
    let mut json = serde_json::Deserializer::from_str(text);
    let file: File = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let place = error.path().to_string();
        match error.into_inner() {
            error if !error.is_data() => not_json(&error),
            error if place == "." => Faults::one("the file", &error.to_string()),
            error => Faults::one(&place, &error.to_string()),
        }
    })?;
    json.end().map_err(|error| not_json(&error))?;
    file.validate(jobs)
}

fn not_json(error: &serde_json::Error) -> Faults {
    Faults::one("the file", &format!("is not JSON: {error}"))
}

impl File {
    /// Checks all of it, and reports every fault.
    fn validate(self, jobs: Option<&Jobs<'_>>) -> Result<Schedules, Faults> {
        let mut faults = Faults::default();
        faults.unless(
            is_a_base(&self.base_url),
            "base_url",
            "must be ${PUBLIC_URL}, or an https address without a slash at its end",
        );
        let timezone: Option<Tz> = self.timezone.parse().ok();
        let unknown = format!(
            "{:?} is not a time zone; it needs an IANA name such as Europe/Paris",
            self.timezone
        );
        faults.unless(timezone.is_some(), "timezone", &unknown);
        let defaults = &self.defaults;
        let (retries, timeout) = (Some(defaults.retries), Some(&*defaults.timeout));
        let callback = defaults.failure_callback.as_deref();
        check_delivery("defaults", retries, timeout, callback, &mut faults);
        let entries = self.schedules.iter().enumerate();
        let schedules: Vec<Schedule> = entries
            .filter_map(|(number, entry)| {
                let place = format!("schedules[{number}]");
                entry.validate(&place, defaults, jobs, &mut faults)
            })
            .collect();
        faults.repeated("id", self.schedules.iter().map(|entry| &*entry.id));
        faults.repeated("job", self.schedules.iter().map(|entry| &*entry.job));
        match timezone {
            Some(timezone) if faults.is_empty() => Ok(Schedules {
                base_url: self.base_url,
                timezone,
                schedules,
                defaults: self.defaults,
            }),
            _ => Err(faults),
        }
    }
}

impl Entry {
    fn validate(
        &self,
        place: &str,
        defaults: &Delivery,
        jobs: Option<&Jobs<'_>>,
        faults: &mut Faults,
    ) -> Option<Schedule> {
        let at = |field: &str| format!("{place}.{field}");
        faults.unless(is_an_id(&self.id), &at("id"), "must begin with jarvis- and go on with small letters, digits and single hyphens, 64 characters at the most");
        let is_described = (10..=300).contains(&self.description.chars().count());
        let length = "must be 10 to 300 characters long";
        faults.unless(is_described, &at("description"), length);
        let cron = cron::read(&self.cron)
            .inspect_err(|errors| errors.iter().for_each(|why| faults.add(&at("cron"), why)))
            .ok();
        let overdue_after = duration(&self.overdue_after);
        faults.unless(overdue_after.is_some(), &at("overdue_after"), DURATION);
        if let Some(jobs) = jobs {
            self.check_job(jobs, place, faults);
        }
        let (timeout, callback) = (self.timeout.as_deref(), self.failure_callback.as_deref());
        check_delivery(place, self.retries, timeout, callback, faults);
        Some(Schedule {
            id: self.id.clone(),
            job: self.job.clone(),
            cron: cron?,
            description: self.description.clone(),
            overdue_after: overdue_after?,
            body: Value::Object(self.body.clone()),
            delivery: Delivery {
                retries: self.retries.unwrap_or(defaults.retries),
                timeout: timeout.unwrap_or(&defaults.timeout).to_owned(),
                failure_callback: callback
                    .or(defaults.failure_callback.as_deref())
                    .map(str::to_owned),
                redact_authorization: self
                    .redact_authorization
                    .unwrap_or(defaults.redact_authorization),
            },
        })
    }

    /// Whether the job exists and accepts the body.
    fn check_job(&self, jobs: &Jobs<'_>, place: &str, faults: &mut Faults) {
        let job = &*self.job;
        if !jobs.names.contains(&job) {
            let known = jobs.names.join(", ");
            let why = format!("there is no job {job:?}; there are: {known}");
            faults.add(&format!("{place}.job"), &why);
        } else if let Err(why) = (jobs.accepts)(job, &self.body) {
            faults.add(&format!("{place}.body"), &why);
        }
    }
}

impl Faults {
    /// Reports the values of a field that more than one schedule has.
    fn repeated<'v>(&mut self, field: &str, values: impl Iterator<Item = &'v str>) {
        let mut seen = BTreeMap::new();
        for (number, value) in values.enumerate() {
            let first = *seen.entry(value).or_insert(number);
            let place = format!("schedules[{number}].{field}");
            let why = format!("{value:?} is the {field} of schedules[{first}] already");
            self.unless(first == number, &place, &why);
        }
    }
}

/// What is wrong with a text that [`duration`] cannot read.
const DURATION: &str = "must be a duration such as 60s, 15m or 1d12h, and not zero";

/// Checks what the file says of a delivery here.
fn check_delivery(
    place: &str,
    retries: Option<u32>,
    timeout: Option<&str>,
    failure_callback: Option<&str>,
    faults: &mut Faults,
) {
    let is_allowed = retries.is_none_or(|retries| retries <= MOST_RETRIES);
    let range = format!("must be a whole number from 0 to {MOST_RETRIES}");
    faults.unless(is_allowed, &format!("{place}.retries"), &range);
    let is_readable = timeout.is_none_or(|text| duration(text).is_some());
    faults.unless(is_readable, &format!("{place}.timeout"), DURATION);
    faults.unless(
        failure_callback.is_none_or(is_a_path),
        &format!("{place}.failure_callback"),
        "must be a path such as /api/qstash/failures",
    );
}

/// Days, hours, minutes and seconds, in this order, each once at the most:
/// what QStash, the schema and humantime all read alike. Never zero.
fn duration(text: &str) -> Option<TimeDelta> {
    let mut rest = text;
    for unit in ['d', 'h', 'm', 's'] {
        if let Some((number, after)) = rest.split_once(unit) {
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number || number.is_empty() || number.starts_with('0') {
                return None;
            }
            rest = after;
        }
    }
    let duration = humantime::parse_duration(text).ok();
    TimeDelta::from_std(duration.filter(|_| rest.is_empty())?).ok()
}

/// Whether it is a path of this service.
fn is_a_path(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#');
    path.starts_with('/') && path.chars().all(is_plain)
}

fn is_an_id(id: &str) -> bool {
    let is_word = |word: &str| {
        let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        !word.is_empty() && word.chars().all(is_known)
    };
    id.len() <= LONGEST_ID
        && id
            .strip_prefix(PREFIX)
            .is_some_and(|rest| rest.split('-').all(is_word))
}

fn is_a_base(text: &str) -> bool {
    let is_plain = |url: &url::Url| {
        url.scheme() == "https"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    text == PUBLIC_URL
        || (!text.ends_with('/') && text.parse().is_ok_and(|url: url::Url| is_plain(&url)))
}
