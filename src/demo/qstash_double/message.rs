//! A message: its content, its destination, its attempts and its state.

use std::fmt::Write as _;
use std::time::Duration;

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Deliveries after the first when the publisher names no number.
const RETRIES: u32 = 3;
const FORWARD: &str = "upstash-forward-";
const CALLBACK_FORWARD: &str = "upstash-failure-callback-forward-";

/// A message as the double keeps it, also after its end.
#[derive(Debug, Clone)]
pub struct Message {
    /// `msg_…`, the same over all retries.
    pub id: String,
    /// Its destination, byte for byte.
    pub destination: String,
    /// What it was published with, names in lower case, in clear.
    pub headers: HeaderMap,
    /// What is delivered.
    pub body: String,
    /// The schedule whose tick it is.
    pub schedule_id: Option<String>,
    /// When it was published.
    pub created_at: DateTime<Utc>,
    /// Its deliveries so far.
    pub attempts: Vec<Attempt>,
    /// Its state.
    pub fate: Fate,
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

impl Message {
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

    /// How long the double waits for an answer.
    pub(super) fn timeout(&self) -> Option<Duration> {
        humantime::parse_duration(self.header("upstash-timeout")?).ok()
    }

    /// How long it waits before its first delivery.
    pub(super) fn delay(&self) -> Duration {
        let delay = self.header("upstash-delay");
        delay
            .and_then(|delay| humantime::parse_duration(delay).ok())
            .unwrap_or_default()
    }

    /// The headers that travel to the destination, without their prefix.
    pub(super) fn forwarded(&self) -> Vec<(String, String)> {
        self.below(FORWARD)
    }

    /// The headers that travel to the failure callback.
    pub(super) fn forwarded_to_callback(&self) -> Vec<(String, String)> {
        self.below(CALLBACK_FORWARD)
    }

    fn below(&self, prefix: &str) -> Vec<(String, String)> {
        let pairs = self.headers.iter();
        pairs
            .filter_map(|(name, value)| {
                let name = name.as_str().strip_prefix(prefix)?;
                Some((name.to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect()
    }

    /// As `GET /v2/messages/{id}` returns it; the fields its publisher names are redacted:
    /// <https://upstash.com/docs/qstash/howto/redact-fields>.
    pub(super) fn render(&self) -> Value {
        let fields = self.header("upstash-redact-fields").unwrap_or_default();
        let hides = |name: &str| fields.to_ascii_lowercase().contains(&format!("[{name}]"));
        let header: Map<String, Value> = self
            .forwarded()
            .into_iter()
            .map(|(name, value)| {
                let value = if hides(&name) {
                    redacted(&value, "")
                } else {
                    value
                };
                (canonical(&name), json!([value]))
            })
            .collect();
        let hides_body = fields.split(',').any(|field| field.trim() == "body");
        let body = if hides_body {
            redacted(&self.body, "")
        } else {
            self.body.clone()
        };
        json!({
            "messageId": self.id,
            "url": self.destination,
            "method": self.header("upstash-method").unwrap_or("POST"),
            "header": header,
            "body": body,
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

/// A redacted value, hashed with `salt` before it.
pub(super) fn redacted(value: &str, salt: &str) -> String {
    let mut redacted = "REDACTED:".to_owned();
    for byte in Sha256::digest(format!("{salt}{value}")) {
        // Writing to a string cannot fail.
        let _ = write!(redacted, "{byte:02x}");
    }
    redacted
}
