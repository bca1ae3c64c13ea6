//! How `qstash-schedules.json` is read: whole, and with every fault told.
//!
//! Its shape is also written down for editors, in
//! `deploy/qstash-schedules.schema.json`; what is judged here goes further,
//! and needs the jobs' own word on what they accept.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::cron;
use super::faults::Faults;
use super::{Jobs, PREFIX, PUBLIC_URL, Schedule, Schedules};
use crate::qstash::delivery::Delivery;
use fields::Fields;

mod fields;

/// The longest id.
const LONGEST_ID: usize = 64;
/// The most retries; QStash's plans allow fewer.
const MOST_RETRIES: u64 = 10;

/// Reads the file; with `jobs`, it also has to fit them.
pub(super) fn read(text: &str, jobs: Option<&Jobs<'_>>) -> Result<Schedules, Faults> {
    let mut faults = Faults::default();
    let schedules = match serde_json::from_str(text) {
        Ok(Value::Object(file)) => file_of(&file, jobs, &mut faults),
        Ok(_) => {
            faults.add("the file", "must be a JSON object");
            None
        }
        Err(error) => {
            faults.add("the file", &format!("is not JSON: {error}"));
            None
        }
    };
    match schedules {
        Some(schedules) if faults.is_empty() => Ok(schedules),
        _ => Err(faults),
    }
}

fn file_of(
    file: &Map<String, Value>,
    jobs: Option<&Jobs<'_>>,
    faults: &mut Faults,
) -> Option<Schedules> {
    let mut fields = Fields::new("", file, faults);
    fields.only(&["$schema", "base_url", "timezone", "defaults", "schedules"]);
    let base_url = fields.text("base_url").filter(|url| {
        fields.holds(
            "base_url",
            is_a_base(url),
            "must be ${PUBLIC_URL}, or an https address without a slash at its end",
        )
    });
    let timezone = fields.text("timezone").and_then(|name| {
        let zone: Option<Tz> = name.parse().ok();
        let why = format!("{name:?} is no time zone; it needs an IANA name such as Europe/Paris");
        fields.holds("timezone", zone.is_some(), &why);
        zone
    });
    let defaults = fields.object("defaults").and_then(|object| {
        let mut fields = fields.inside("defaults", object);
        fields.only(&DELIVERY);
        delivery(&mut fields, None)
    });
    let entries = fields.list("schedules").unwrap_or_default();
    let mut schedules = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        schedules.push(entry_of(place, entry, defaults.as_ref(), jobs, faults));
    }
    doubles(entries, "id", faults);
    doubles(entries, "job", faults);
    if let Some(jobs) = jobs {
        missing(entries, jobs, faults);
    }
    Some(Schedules {
        base_url: base_url?.to_owned(),
        timezone: timezone?,
        schedules: schedules.into_iter().collect::<Option<_>>()?,
    })
}

/// What a schedule may say of its delivery, or the defaults for all.
const DELIVERY: [&str; 4] = [
    "retries",
    "timeout",
    "failure_callback",
    "redact_authorization",
];

fn entry_of(
    place: usize,
    entry: &Value,
    defaults: Option<&Delivery>,
    jobs: Option<&Jobs<'_>>,
    faults: &mut Faults,
) -> Option<Schedule> {
    let place = format!("schedules[{place}]");
    let Value::Object(entry) = entry else {
        faults.add(&place, "must be an object");
        return None;
    };
    let mut fields = Fields::new(&place, entry, faults);
    let own = ["id", "job", "cron", "description", "overdue_after", "body"];
    fields.only(&[&own[..], &DELIVERY].concat());
    let id = fields
        .text("id")
        .filter(|id| fields.holds("id", is_an_id(id), "must begin with jarvis- and go on with small letters, digits and single hyphens, 64 characters at the most"));
    let job = fields.text("job");
    let description = fields.text("description").filter(|text| {
        let is_said = (10..=300).contains(&text.chars().count());
        fields.holds("description", is_said, "must be 10 to 300 characters long")
    });
    let cron = fields.text("cron").and_then(|text| match cron::read(text) {
        Ok(cron) => Some(cron),
        Err(why) => {
            for why in why {
                fields.fault("cron", &why);
            }
            None
        }
    });
    let overdue_after = fields.duration("overdue_after");
    let body = fields.object("body");
    if let (Some(job), Some(jobs)) = (job, jobs) {
        fits(&mut fields, job, body, jobs);
    }
    let delivery = delivery(&mut fields, defaults);
    Some(Schedule {
        id: id?.to_owned(),
        job: job?.to_owned(),
        cron: cron?,
        description: description?.to_owned(),
        overdue_after: overdue_after?,
        body: Value::Object(body?.clone()),
        delivery: delivery?,
    })
}

/// What is said of the delivery, over what holds for all.
fn delivery(fields: &mut Fields<'_, '_>, defaults: Option<&Delivery>) -> Option<Delivery> {
    let is_own = |fields: &Fields<'_, '_>, name| defaults.is_none() || fields.has(name);
    let retries = if is_own(fields, "retries") {
        fields.number("retries", MOST_RETRIES)
    } else {
        defaults.map(|all| all.retries)
    };
    let timeout = if is_own(fields, "timeout") {
        fields.duration("timeout");
        fields.text("timeout").map(str::to_owned)
    } else {
        defaults.map(|all| all.timeout.clone())
    };
    let failure_callback = if fields.has("failure_callback") {
        fields.path("failure_callback").map(str::to_owned)
    } else {
        defaults.and_then(|all| all.failure_callback.clone())
    };
    let redact_authorization = if is_own(fields, "redact_authorization") {
        fields.flag("redact_authorization")
    } else {
        defaults.map(|all| all.redact_authorization)
    };
    Some(Delivery {
        retries: retries?,
        timeout: timeout?,
        failure_callback,
        redact_authorization: redact_authorization?,
    })
}

/// Whether the job exists and accepts the body.
fn fits(
    fields: &mut Fields<'_, '_>,
    job: &str,
    body: Option<&Map<String, Value>>,
    jobs: &Jobs<'_>,
) {
    if !jobs.names.contains(&job) {
        let known = jobs.names.join(", ");
        fields.fault(
            "job",
            &format!("there is no job {job:?}; there are: {known}"),
        );
    } else if let Some(body) = body
        && let Err(why) = (jobs.accepts)(job, body)
    {
        fields.fault("body", &why);
    }
}

/// Values of `name` that are given more than once.
fn doubles(entries: &[Value], name: &str, faults: &mut Faults) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        let Some(value) = entry[name].as_str() else {
            continue;
        };
        if let Some(first) = seen.get(value) {
            let why = format!("{value:?} is the {name} of schedules[{first}] already");
            faults.add(&format!("schedules[{place}].{name}"), &why);
        } else {
            seen.insert(value, place);
        }
    }
}

/// Jobs that nothing calls.
fn missing(entries: &[Value], jobs: &Jobs<'_>, faults: &mut Faults) {
    for job in jobs.names {
        if !entries.iter().any(|entry| entry["job"] == **job) {
            faults.add("schedules", &format!("nothing calls the job {job:?}"));
        }
    }
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
