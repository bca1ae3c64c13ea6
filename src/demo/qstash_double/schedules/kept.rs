//! One schedule: the parts of a call that are kept, and how it is listed.

use chrono_tz::Tz;
use croner::Cron;
use serde_json::{Value, json};

use super::super::message::{Draft, FORWARD, FORWARD_TO_CALLBACK};
use crate::demo::double::{Call, wall_clock};

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
    /// As it was sent, but trimmed.
    cron: String,
    draft: Draft,
    /// Milliseconds.
    pub(super) created_at: u64,
    pub(super) is_paused: bool,
}

impl Kept {
    /// Reads a call, or returns its fault.
    pub(super) fn read(destination: &str, call: &Call) -> Result<Self, &'static str> {
        let mut schemes = ["http://", "https://"].iter();
        if !schemes.any(|scheme| destination.starts_with(scheme)) {
            return Err("invalid destination url: endpoint has invalid scheme");
        }
        let cron = call.header("upstash-cron").unwrap_or_default().trim();
        if next(cron).is_none() {
            return Err("invalid cron expression");
        }
        Ok(Self {
            cron: cron.to_owned(),
            draft: Draft::of(call, destination.to_owned()),
            created_at: 0,
            is_paused: false,
        })
    }

    /// How it is listed; `salt` is put before a value that is hashed.
    pub(super) fn listed(&self, id: &str, salt: &str) -> Value {
        let draft = &self.draft;
        let mut header = draft.listed_headers(FORWARD, salt);
        if let Some(kind) = draft.header("content-type") {
            header.insert("Content-Type".to_owned(), json!([kind]));
        }
        let mut listed = json!({
            "scheduleId": id,
            "cron": self.cron,
            "createdAt": self.created_at,
            "destination": draft.destination,
            "method": draft.method(),
            "header": header,
            "retries": draft.most_retries(),
            "isPaused": self.is_paused,
            "callerIP": "127.0.0.1",
            // QStash lists it too, where there is no flow control.
            "parallelism": 0,
            "nextScheduleTime": next(&self.cron).map(|next| next.timestamp_millis()),
        });
        for (field, header) in TEXTS {
            if let Some(value) = draft.header(header) {
                listed[field] = json!(value);
            }
        }
        let to_callback = draft.listed_headers(FORWARD_TO_CALLBACK, salt);
        if !to_callback.is_empty() {
            listed["failureCallbackHeader"] = Value::Object(to_callback);
        }
        if !draft.body.is_empty() {
            listed["body"] = json!(draft.listed_body(salt));
        }
        listed
    }

    /// The message of one tick, in clear.
    pub(super) fn draft(&self, id: &str) -> Draft {
        Draft {
            schedule_id: Some(id.to_owned()),
            ..self.draft.clone()
        }
    }
}

/// When a cron is due next; `None` when it cannot be read.
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
    cron.find_next_occurrence(&wall_clock().with_timezone(&zone), false)
        .ok()
}
