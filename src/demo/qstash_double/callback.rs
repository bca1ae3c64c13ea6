//! The failure callback: <https://upstash.com/docs/qstash/features/callbacks>.
//!
//! A message of its own, signed like any other, with the original's retries. `sourceHeader`
//! carries what was forwarded, secrets included: that is how QStash does it.

use std::collections::HashMap;

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::message::{Attempt, Draft, FORWARD, FORWARD_TO_CALLBACK, Message, canonical};

/// The callback of a message that was given up after `last`, when it has one.
pub(super) fn of(message: &Message, last: &Attempt, dead_letter: &str) -> Option<Draft> {
    let destination = message.header("upstash-failure-callback")?.to_owned();
    let mut headers = HashMap::from([
        ("content-type".to_owned(), "application/json".to_owned()),
        (
            "upstash-retries".to_owned(),
            message.most_retries().to_string(),
        ),
    ]);
    let forwarded = message.below(FORWARD_TO_CALLBACK);
    headers.extend(forwarded.map(|(name, value)| (format!("{FORWARD}{name}"), value.to_owned())));
    Some(Draft {
        destination,
        headers: HeaderMap::try_from(&headers).ok()?,
        body: body(message, last, dead_letter).to_string(),
        schedule_id: None,
    })
}

fn body(message: &Message, last: &Attempt, dead_letter: &str) -> Value {
    let mut header: Map<String, Value> = Map::new();
    for (name, value) in &last.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let values = header.entry(canonical(name.as_str())).or_insert(json!([]));
        if let Some(values) = values.as_array_mut() {
            values.push(value.into());
        }
    }
    let mut source: Map<String, Value> = message
        .below(FORWARD)
        .map(|(name, value)| (canonical(name), value.into()))
        .collect();
    if let Some(kind) = message.header("content-type") {
        source.insert("Content-Type".to_owned(), kind.into());
    }
    let created = message.created_at.timestamp_millis().to_string();
    let mut body = json!({
        "status": last.status,
        "header": header,
        "body": STANDARD.encode(&last.body),
        "retried": message.attempts.len(),
        "maxRetries": message.most_retries(),
        "dlqId": dead_letter,
        "sourceMessageId": message.id,
        "url": message.destination,
        "method": message.method(),
        "sourceHeader": source,
        "sourceBody": STANDARD.encode(&message.body),
        "notBefore": created,
        "createdAt": created,
        "callerIP": "127.0.0.1",
    });
    if let Some(schedule) = &message.schedule_id {
        body["scheduleId"] = schedule.as_str().into();
    }
    body
}
