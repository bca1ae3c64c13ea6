//! The changes that make QStash's schedules those of the file.
//!
//! A pure comparison without any call. It promises that no secret is in a
//! [`Plan`], that every other schedule of the account is [`Action::Foreign`]
//! and never touched, and that writing a schedule again removes each of its
//! differences: what QStash does not list, or lists redacted so that it cannot
//! be compared, is [`Unclear`] instead.

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use super::client::Listed;
use super::delivery::{Delivery, Destination};
use super::schedules::{PREFIX, Schedule, Schedules};

mod compare;
mod secret;

use secret::Secret;

/// The longest text that is printed whole, in characters.
const LONGEST: usize = 120;

/// A schedule as it should be, with everything that is sent.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its id.
    pub id: String,
    /// The job it calls.
    pub job: String,
    /// What it calls.
    pub destination: String,
    /// When, with its zone: `CRON_TZ=Europe/Paris */5 * * * *`.
    pub cron: String,
    /// Every header of the upsert, those of the delivery included.
    pub headers: HeaderMap,
    /// The job's options.
    pub body: String,
    delivery: Delivery,
    failure_callback: Option<String>,
    bearer: SecretString,
}

/// The action for each schedule: ours in the file's order, then orphans, then
/// foreign ones, by their ids.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// All schedules of the file and of the account.
    pub schedules: Vec<Planned>,
}

/// The action for one schedule.
#[derive(Debug, Clone, Serialize)]
pub struct Planned {
    /// Its id.
    pub id: String,
    /// What to do.
    pub action: Action,
    /// Whether it is paused at QStash; that is kept.
    pub is_paused: bool,
    /// The job it calls; also when it is not ours.
    pub job: Option<String>,
    /// When, as it is listed, or as it will be.
    pub cron: Option<String>,
    /// What it calls, as it is listed, or as it will be.
    pub destination: Option<String>,
    /// The next tick, as QStash lists it.
    pub next_at: Option<DateTime<Utc>>,
    /// What an update changes, or a creation sets.
    pub differences: Vec<Difference>,
    /// What cannot be compared; not counted as a difference.
    pub unclear: Vec<Unclear>,
}

/// What to do with a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// QStash does not have it.
    Create,
    /// It differs.
    Update,
    /// It is as it should be.
    Unchanged,
    /// Its id is one of ours, and the file does not name it any more.
    Orphan,
    /// Not ours, never touched.
    Foreign,
}

/// A field that differs; secrets are named, not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The field.
    pub field: String,
    /// What QStash has; `None` when nothing.
    pub was: Option<String>,
    /// What it will have; `None` when nothing.
    pub will_be: Option<String>,
}

/// A field that cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unclear {
    /// The field.
    pub field: String,
    /// Why.
    pub why: String,
}

impl Schedules {
    /// The schedules as they should be at QStash, for this service.
    ///
    /// # Errors
    /// When a setting is not a valid header value.
    pub fn wanted(&self, destination: &Destination) -> anyhow::Result<Vec<Wanted>> {
        let destination = Destination {
            public_url: self.base_url(&destination.public_url).to_owned(),
            ..destination.clone()
        };
        let wanted = |schedule| Wanted::of(self, schedule, &destination);
        self.schedules.iter().map(wanted).collect()
    }
}

impl Wanted {
    fn of(
        schedules: &Schedules,
        schedule: &Schedule,
        destination: &Destination,
    ) -> anyhow::Result<Self> {
        let delivery = &schedule.delivery;
        let cron = format!("CRON_TZ={} {}", schedules.timezone, schedule.cron.as_str());
        let mut headers = destination.headers(delivery)?;
        headers.insert("upstash-cron", cron.parse()?);
        headers.insert("upstash-schedule-id", schedule.id.parse()?);
        let callback = delivery.failure_callback.as_ref();
        let bearer = format!("Bearer {}", destination.cron_secret.expose_secret());
        Ok(Self {
            id: schedule.id.clone(),
            job: schedule.job.clone(),
            destination: destination.of(&schedule.job),
            cron,
            headers,
            body: schedule.body.to_string(),
            delivery: delivery.clone(),
            failure_callback: callback.map(|path| format!("{}{path}", destination.public_url)),
            bearer: bearer.into(),
        })
    }
}

impl Plan {
    /// Compares; `previous` is `CRON_SECRET_PREVIOUS`, so that a schedule that
    /// still carries it is recognised.
    #[must_use]
    pub fn of(wanted: &[Wanted], listed: &[Listed], previous: Option<&SecretString>) -> Self {
        let secret = Secret::seen_in(wanted, listed, previous);
        let mut schedules: Vec<Planned> = wanted
            .iter()
            .map(|wanted| {
                let listed = listed.iter().find(|listed| listed.id == wanted.id);
                planned(wanted, listed, &secret)
            })
            .collect();
        let mut rest: Vec<Planned> = listed
            .iter()
            .filter(|listed| wanted.iter().all(|wanted| wanted.id != listed.id))
            .map(|listed| unplanned(listed, wanted))
            .collect();
        rest.sort_by_key(|planned| (planned.action == Action::Foreign, planned.id.clone()));
        schedules.append(&mut rest);
        Self { schedules }
    }

    /// Whether apply has anything to do; pauses and foreign schedules do not count.
    #[must_use]
    pub fn differs(&self) -> bool {
        [Action::Create, Action::Update, Action::Orphan]
            .iter()
            .any(|action| self.count(*action) > 0)
    }

    /// How many schedules have this action.
    #[must_use]
    pub fn count(&self, action: Action) -> usize {
        let schedules = self.schedules.iter();
        schedules.filter(|planned| planned.action == action).count()
    }
}

impl Action {
    /// Its name, as it is printed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Unchanged => "unchanged",
            Self::Orphan => "orphan",
            Self::Foreign => "foreign",
        }
    }
}

fn planned(wanted: &Wanted, listed: Option<&Listed>, secret: &Secret<'_>) -> Planned {
    let compared = match listed {
        Some(listed) => compare::compare(wanted, listed, secret),
        None => compare::all_fields(wanted),
    };
    Planned {
        id: wanted.id.clone(),
        action: match listed {
            None => Action::Create,
            Some(_) if compared.differences.is_empty() => Action::Unchanged,
            Some(_) => Action::Update,
        },
        is_paused: listed.is_some_and(|listed| listed.is_paused),
        job: Some(wanted.job.clone()),
        cron: Some(wanted.cron.clone()),
        destination: Some(wanted.destination.clone()),
        next_at: listed.and_then(|listed| listed.next_at),
        differences: compared.differences,
        unclear: compared.unclear,
    }
}

/// A schedule that the file does not name.
fn unplanned(listed: &Listed, wanted: &[Wanted]) -> Planned {
    // An id that QStash does not allow must not become a part of an address.
    let (id, action) = if is_our_id(&listed.id) {
        (listed.id.clone(), Action::Orphan)
    } else {
        (printable(&listed.id), Action::Foreign)
    };
    let calls = |wanted: &&Wanted| listed.destination.as_ref() == Some(&wanted.destination);
    Planned {
        id,
        action,
        is_paused: listed.is_paused,
        job: wanted.iter().find(calls).map(|wanted| wanted.job.clone()),
        cron: listed.cron.as_deref().map(printable),
        destination: listed.destination.as_deref().map(printable),
        next_at: listed.next_at,
        differences: Vec::new(),
        unclear: Vec::new(),
    }
}

/// Whether it is the id of one of our schedules, in the characters that QStash
/// allows: <https://upstash.com/docs/qstash/api-reference/schedules/create-a-schedule>.
#[must_use]
pub fn is_our_id(id: &str) -> bool {
    let is_known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let rest = id.strip_prefix(PREFIX);
    rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(is_known))
}

/// A text of QStash without control characters, which a terminal would obey,
/// and cut after a few lines.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printable = String::new();
    for c in text.chars().take(LONGEST) {
        if c.is_control() {
            printable.extend(c.escape_unicode());
        } else {
            printable.push(c);
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        printable.push('…');
    }
    printable
}
