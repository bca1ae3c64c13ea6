//! One schedule: the parts of a call that are kept, and how it is listed.

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue};
use chrono::Utc;
use chrono_tz::Tz;
use croner::Cron;
use serde_json::{Map, Value, json};

use super::super::message::{canonical, redacted};
use super::super::messages::Draft;
use crate::demo::double::Call;

/// The prefixes of headers for the destination, and for the failure callback.
const FORWARD: &str = "upstash-forward-";
const FORWARD_TO_CALLBACK: &str = "upstash-failure-callback-forward-";
/// Settings listed under a name of their own, when they were given.
const TEXTS: [(&str, &str); 6] = [
    ("timeout", "upstash-timeout"),
    ("callback", "upstash-callback"),
    ("failureCallback", "upstash-failure-callback"),
    ("queueName", "upstash-queue-name"),
    ("flowControlKey", "upstash-flow-control-key"),
    ("retryDelayExpression", "upstash-retry-delay"),
];

/// A schedule.
#[derive(Debug)]
pub(super) struct Kept {
    destination: String,
    /// As it was sent, but trimmed.
    cron: String,
    headers: BTreeMap<String, String>,
    body: String,
    /// Milliseconds.
    pub(super) created_at: u64,
    pub(super) is_paused: bool,
}

impl Kept {
    /// Reads a call, or returns its fault.
    pub(super) fn read(destination: &str, call: &Call) -> Result<Self, &'static str> {
        if !["http://", "https://"]
            .iter()
            .any(|scheme| destination.starts_with(scheme))
        {
            return Err("invalid destination url: endpoint has invalid scheme");
        }
        let cron = call.header("upstash-cron").unwrap_or_default().trim();
        if next(cron).is_none() {
            return Err("invalid cron expression");
        }
        let headers = call.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        });
        Ok(Self {
            destination: destination.to_owned(),
            cron: cron.to_owned(),
            headers: headers.collect(),
            body: call.body.clone(),
            created_at: 0,
            is_paused: false,
        })
    }

    /// How it is listed; `salt` is put before a value that is hashed.
    pub(super) fn listed(&self, id: &str, salt: &str) -> Value {
        let mut header = self.forwarded(FORWARD, salt);
        if let Some(kind) = self.headers.get("content-type") {
            header.insert("Content-Type".to_owned(), json!([kind]));
        }
        let method = self.headers.get("upstash-method").map(String::as_str);
        let retries = self.headers.get("upstash-retries");
        let retries: u64 = retries
            .and_then(|retries| retries.parse().ok())
            .unwrap_or(3);
        let mut listed = json!({
            "scheduleId": id,
            "cron": self.cron,
            "createdAt": self.created_at,
            "destination": self.destination,
            "method": method.unwrap_or("POST"),
            "header": header,
            "retries": retries,
            "isPaused": self.is_paused,
            "callerIP": "127.0.0.1",
            // QStash lists it too, where there is no flow control.
            "parallelism": 0,
            "nextScheduleTime": next(&self.cron).map(|next| next.timestamp_millis()),
        });
        for (field, header) in TEXTS {
            if let Some(value) = self.headers.get(header) {
                listed[field] = json!(value);
            }
        }
        let to_callback = self.forwarded(FORWARD_TO_CALLBACK, salt);
        if !to_callback.is_empty() {
            listed["failureCallbackHeader"] = Value::Object(to_callback);
        }
        if self.is_redacted("body") {
            listed["body"] = json!(redacted(&self.body, salt));
        } else if !self.body.is_empty() {
            listed["body"] = json!(self.body);
        }
        listed
    }

    /// The message of one tick, in clear.
    pub(super) fn draft(&self, id: &str) -> Draft {
        let headers = self.headers.iter().filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            Some((name, HeaderValue::from_str(value).ok()?))
        });
        Draft {
            destination: self.destination.clone(),
            headers: headers.collect(),
            body: self.body.clone(),
            schedule_id: Some(id.to_owned()),
        }
    }

    /// Headers that are passed on, under the names they arrive with.
    fn forwarded(&self, prefix: &str, salt: &str) -> Map<String, Value> {
        let forwarded = self.headers.iter().filter_map(|(name, value)| {
            let name = canonical(name.strip_prefix(prefix)?);
            let is_redacted = self.is_redacted(&format!("header[{name}]"));
            let value = if is_redacted || self.is_redacted("header") {
                redacted(value, salt)
            } else {
                value.clone()
            };
            Some((name, json!([value])))
        });
        forwarded.collect()
    }

    fn is_redacted(&self, field: &str) -> bool {
        self.headers
            .get("upstash-redact-fields")
            .is_some_and(|fields| {
                fields
                    .split(',')
                    .any(|named| named.trim().eq_ignore_ascii_case(field))
            })
    }
}

/// When a cron is due next; `None` when it cannot be read.
#[expect(
    clippy::disallowed_methods,
    reason = "it stands in for QStash, which has a clock"
)]
fn next(cron: &str) -> Option<chrono::DateTime<Tz>> {
    let (zone, fields) = match cron.strip_prefix("CRON_TZ=") {
        Some(rest) => rest.split_once(' ')?,
        None => ("UTC", cron),
    };
    let zone: Tz = zone.parse().ok()?;
    if fields.split_whitespace().count() != 5 {
        return None;
    }
    let cron: Cron = fields.parse().ok()?;
    cron.find_next_occurrence(&Utc::now().with_timezone(&zone), false)
        .ok()
}
