//! A schedule as QStash lists it.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use serde_json::Value;

/// A schedule as QStash lists it; `None` where a field is missing.
#[derive(Clone)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// What it calls.
    pub destination: Option<String>,
    /// When, with its zone.
    pub cron: Option<String>,
    /// With which method.
    pub method: Option<String>,
    /// Whether its ticks are left out.
    pub is_paused: bool,
    /// The delivered headers, names in lower case.
    pub headers: Option<BTreeMap<String, HeaderText>>,
    /// The body.
    pub body: Option<String>,
    /// Deliveries after the first one has failed.
    pub retries: Option<u64>,
    /// How long QStash waits; a number's unit is documented nowhere.
    pub timeout: Option<Value>,
    /// Called once when every retry has failed.
    pub failure_callback: Option<String>,
    /// What that is called with, names in lower case.
    pub failure_callback_headers: Option<BTreeMap<String, HeaderText>>,
    /// Settings this service never makes, under QStash's names for them.
    pub others: BTreeMap<&'static str, String>,
    /// The next tick.
    pub next_at: Option<DateTime<Utc>>,
    /// The last tick.
    pub last_at: Option<DateTime<Utc>>,
    /// The states of the last messages: `IN_PROGRESS`, `SUCCESS` or `FAIL`.
    pub last_states: Vec<String>,
}

/// A header's value as it is listed.
#[derive(Clone, PartialEq, Eq)]
pub enum HeaderText {
    /// As it is sent.
    Clear(String),
    /// A SHA-256 of it, in hex; of exactly which bytes is documented nowhere.
    Redacted(String),
}

impl Listed {
    /// Reads an entry of the list; `None` when it has no id.
    pub(super) fn read(entry: &Value) -> Option<Self> {
        let text = |name: &str| entry[name].as_str().map(str::to_owned);
        let filled = |name: &str| text(name).filter(|text| !text.is_empty());
        let moment = |name: &str| {
            let millis = entry[name].as_i64().filter(|millis| *millis > 0)?;
            DateTime::from_timestamp_millis(millis)
        };
        Some(Self {
            id: filled("scheduleId")?,
            destination: filled("destination"),
            cron: filled("cron"),
            method: filled("method"),
            is_paused: entry["isPaused"].as_bool().unwrap_or(false),
            headers: headers(&entry["header"]),
            body: text("body").or_else(|| decoded(entry["bodyBase64"].as_str()?)),
            retries: entry["retries"].as_u64(),
            timeout: Some(entry["timeout"].clone()).filter(is_set),
            failure_callback: filled("failureCallback"),
            failure_callback_headers: headers(&entry["failureCallbackHeader"]),
            others: others(entry),
            next_at: moment("nextScheduleTime"),
            last_at: moment("lastScheduleTime"),
            last_states: states(&entry["lastScheduleStates"]),
        })
    }
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listed")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A map of names to a value each, or to a list of them.
fn headers(map: &Value) -> Option<BTreeMap<String, HeaderText>> {
    let headers = map.as_object()?.iter().map(|(name, value)| {
        let values = match value {
            Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
            value => Vec::from_iter(value.as_str()),
        };
        let value = values.join(", ");
        let text = match value.strip_prefix("REDACTED:") {
            Some(hash) => HeaderText::Redacted(hash.trim().to_ascii_lowercase()),
            None => HeaderText::Clear(value),
        };
        (name.to_ascii_lowercase(), text)
    });
    Some(headers.collect())
}

fn decoded(base64: &str) -> Option<String> {
    let bytes = BASE64_STANDARD.decode(base64).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The other fields that are set; QStash lists `"parallelism": 0` where there is
/// no flow control.
fn others(entry: &Value) -> BTreeMap<&'static str, String> {
    const NAMES: [&str; 8] = [
        "callback",
        "delay",
        "queueName",
        "flowControlKey",
        "parallelism",
        "rate",
        "retryDelayExpression",
        "labels",
    ];
    let set = NAMES.into_iter().filter_map(|name| {
        let value = &entry[name];
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        is_set(value).then_some((name, text))
    });
    set.collect()
}

/// Whether a value is set.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty() && text != "0" && text != "0s",
        Value::Array(values) => !values.is_empty(),
        Value::Object(values) => !values.is_empty(),
    }
}

fn states(states: &Value) -> Vec<String> {
    let Some(states) = states.as_object() else {
        return Vec::new();
    };
    let states = states.values().filter_map(Value::as_str);
    states.map(str::to_owned).collect()
}
