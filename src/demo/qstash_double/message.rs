//! A message: its content, its destination, its attempts and its state.

use std::ops::Deref;
use std::time::Duration;

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::demo::double::Call;

/// Deliveries after the first when the publisher names no number.
const RETRIES: u32 = 3;
/// What the names of headers for the destination begin with.
pub(super) const FORWARD: &str = "upstash-forward-";
/// The same for the failure callback.
pub(super) const FORWARD_TO_CALLBACK: &str = "upstash-failure-callback-forward-";

/// What was published: by a call, by an entry of a batch, or by the tick of a schedule.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its destination, byte for byte.
    pub destination: String,
    /// What it was published with, names in lower case, in clear.
    pub headers: HeaderMap,
    /// What is delivered.
    pub body: String,
    /// The schedule whose tick it is.
    pub schedule_id: Option<String>,
}

/// A message as the double keeps it, also after its end.
#[derive(Debug, Clone)]
pub struct Message {
    /// `msg_…`, the same over all retries.
    pub id: String,
    pub(super) draft: Draft,
    /// When it was published.
    pub created_at: DateTime<Utc>,
    /// Its deliveries so far.
    pub attempts: Vec<Attempt>,
    /// Its state.
    pub fate: Fate,
}

/// A message is what was published.
impl Deref for Message {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.draft
    }
}

/// The state of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It will be delivered, or tried again.
    Waiting,
    /// An answer was 2xx.
    Delivered,
    /// No answer was 2xx, or 489 ended it; this is its id in the dead letter queue.
    Failed(String),
    /// It was deleted before it arrived.
    Canceled,
}

/// One delivery.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The answer's status; 0 when none came.
    pub status: u16,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The answer's body, or why there was none.
    pub body: String,
}

impl Draft {
    /// What this call publishes to `destination`.
    pub(super) fn of(call: &Call, destination: String) -> Self {
        Self {
            destination,
            headers: call.headers.clone(),
            body: call.body.clone(),
            schedule_id: None,
        }
    }

    /// The value of a header it was published with.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Deliveries after the first.
    #[must_use]
    pub fn most_retries(&self) -> u32 {
        let retries = self.header("upstash-retries");
        retries.map_or(RETRIES, |n| n.parse().unwrap_or(RETRIES))
    }

    pub(super) fn method(&self) -> &str {
        self.header("upstash-method").unwrap_or("POST")
    }

    /// A header that is a duration, such as how long the double waits for an answer.
    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        humantime::parse_duration(self.header(name)?).ok()
    }

    /// The headers whose name begins with `prefix`, without it: those that travel to the
    /// destination ([`FORWARD`]) or to the failure callback ([`FORWARD_TO_CALLBACK`]).
    pub(super) fn below(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().filter_map(move |(name, value)| {
            let name = name.as_str().strip_prefix(prefix)?;
            Some((name, value.to_str().ok()?))
        })
    }

    /// The same as QStash lists them.
    pub(super) fn listed_headers(&self, prefix: &str, salt: &str) -> Map<String, Value> {
        let listed = self.below(prefix).map(|(name, value)| {
            let name = canonical(name);
            let fields = ["header".to_owned(), format!("header[{name}]")];
            (name, json!([self.listed(&fields, value, salt)]))
        });
        listed.collect()
    }

    /// The body as QStash lists it.
    pub(super) fn listed_body(&self, salt: &str) -> String {
        self.listed(&["body".to_owned()], &self.body, salt)
    }

    /// A value, hashed with `salt` before it where one of its fields is to be redacted:
    /// <https://upstash.com/docs/qstash/howto/redact-fields>.
    fn listed(&self, fields: &[String], value: &str, salt: &str) -> String {
        let redacted = self.header("upstash-redact-fields").unwrap_or_default();
        let hides = |field: &String| {
            let mut redacted = redacted.split(',').map(str::trim);
            redacted.any(|it| it.eq_ignore_ascii_case(field))
        };
        if !fields.iter().any(hides) {
            return value.to_owned();
        }
        let hash = Sha256::digest(format!("{salt}{value}"));
        format!("REDACTED:{}", hex::encode(hash))
    }
}

impl Message {
    /// As `GET /v2/messages/{id}` returns it.
    pub(super) fn render(&self) -> Value {
        json!({
            "messageId": self.id,
            "url": self.destination,
            "method": self.method(),
            "header": self.listed_headers(FORWARD, ""),
            "body": self.listed_body(""),
            "maxRetries": self.most_retries(),
            "createdAt": self.created_at.timestamp_millis(),
            "failureCallback": self.header("upstash-failure-callback"),
            "scheduleId": self.schedule_id,
        })
    }
}

/// A name as QStash writes it: `x-trace-id` is `X-Trace-Id`.
pub(super) fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    words.collect::<Vec<_>>().join("-")
}
