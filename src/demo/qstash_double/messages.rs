//! `POST /v2/publish/{destination}`, `POST /v2/batch`, `GET|DELETE /v2/messages/{id}`:
//! <https://upstash.com/docs/qstash/api-reference/messages/publish-a-message>.
//!
//! The same deduplication id within ten minutes is one message
//! (<https://upstash.com/docs/qstash/features/deduplication>). URL groups, queues, callbacks of
//! successes and content-based deduplication are missing: this service does not use them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::courier;
use super::message::{Attempt, Draft, Fate, Message};
use super::service::{Answer, Shared, refuse};
use crate::demo::double::{Call, wall_clock};

/// How long a deduplication id is remembered.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Every message there was.
#[derive(Debug, Default)]
pub(super) struct Messages {
    all: Vec<Message>,
    by_deduplication: HashMap<String, (Instant, String)>,
}

/// Answers a call about messages; `None` when it is about something else. `failing` are the
/// entries of a batch that fail.
pub(super) fn answer(state: &Shared, call: &Call, failing: &[usize]) -> Option<Answer> {
    if call.path == "/v2/batch" && call.method == "POST" {
        return Some(batch(state, call, failing));
    }
    if let Some(destination) = call.path.strip_prefix("/v2/publish/")
        && call.method == "POST"
    {
        let query = match call.query.as_str() {
            "" => String::new(),
            query => format!("?{query}"),
        };
        let draft = Draft::of(call, format!("{destination}{query}"));
        return Some(publish(state, draft));
    }
    let id = call.path.strip_prefix("/v2/messages/")?;
    let mut state = state.lock();
    match (call.method.as_str(), state.messages.waiting(id)) {
        ("GET", Some(message)) => Some((200, message.render())),
        ("DELETE", Some(message)) => {
            message.fate = Fate::Canceled;
            Some((202, Value::Null))
        }
        ("GET" | "DELETE", None) => Some(refuse(404, &format!("message {id} not found"))),
        _ => None,
    }
}

fn batch(state: &Shared, call: &Call, failing: &[usize]) -> Answer {
    let Ok(Value::Array(entries)) = serde_json::from_str(&call.body) else {
        return refuse(400, "the body must be an array of messages");
    };
    let answers = entries.iter().enumerate().map(|(place, entry)| {
        if failing.contains(&place) {
            return json!({ "error": "scripted by the double" });
        }
        let (_, body) = publish(state, of_entry(entry));
        body
    });
    (200, answers.collect())
}

fn of_entry(entry: &Value) -> Draft {
    let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let headers = serde_json::from_value(entry["headers"].clone());
    let headers: HashMap<String, String> = headers.unwrap_or_default();
    Draft {
        destination: text("destination"),
        headers: HeaderMap::try_from(&headers).unwrap_or_default(),
        body: text("body"),
        schedule_id: None,
    }
}

/// Accepts a message, and starts its delivery.
pub(super) fn publish(state: &Shared, draft: Draft) -> Answer {
    if let Some(error) = fault_of(&draft) {
        return refuse(400, &error);
    }
    let (id, is_new) = state.lock().messages.accept(draft);
    if !is_new {
        return (202, json!({ "messageId": id, "deduplicated": true }));
    }
    courier::send_out(state, &id);
    (200, json!({ "messageId": id }))
}

/// Why QStash would refuse it.
fn fault_of(draft: &Draft) -> Option<String> {
    let header = |name: &str| draft.header(name);
    let destination = &draft.destination;
    if !(destination.starts_with("https://") || destination.starts_with("http://")) {
        return Some(format!(
            "invalid destination url: {destination:?} must begin with http:// or https://"
        ));
    }
    if header("upstash-retries").is_some_and(|it| it.parse::<u32>().is_err()) {
        return Some("invalid Upstash-Retries: not a number".to_owned());
    }
    for name in ["upstash-timeout", "upstash-delay"] {
        if header(name).is_some_and(|it| humantime::parse_duration(it).is_err()) {
            return Some(format!("invalid {name}: not a duration"));
        }
    }
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let method = draft.method();
    (!methods.contains(&method)).then(|| format!("invalid Upstash-Method {method:?}"))
}

impl Messages {
    /// The message of that id, while it has not come to an end.
    pub(super) fn waiting(&mut self, id: &str) -> Option<&mut Message> {
        let mut waiting = self.all.iter_mut();
        waiting.find(|message| message.id == id && message.fate == Fate::Waiting)
    }

    /// Notes a delivery and what came of it.
    pub(super) fn note(&mut self, id: &str, attempt: &Attempt, fate: &Fate) {
        if let Some(message) = self.waiting(id) {
            message.attempts.push(attempt.clone());
            message.fate = fate.clone();
        }
    }

    /// The id of the message, and whether it is new.
    fn accept(&mut self, draft: Draft) -> (String, bool) {
        let key = draft.headers.get("upstash-deduplication-id");
        let key = key.map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
        if let Some((at, id)) = key.as_ref().and_then(|key| self.by_deduplication.get(key))
            && at.elapsed() < REMEMBERED
        {
            return (id.clone(), false);
        }
        let id = format!("msg_{}", uuid::Uuid::now_v7().simple());
        if let Some(key) = key {
            self.by_deduplication
                .insert(key, (Instant::now(), id.clone()));
        }
        self.all.push(Message {
            id: id.clone(),
            draft,
            created_at: wall_clock(),
            attempts: Vec::new(),
            fate: Fate::Waiting,
        });
        (id, true)
    }
}

impl super::QstashDouble {
    /// Every message so far, failure callbacks included, in the order they were accepted.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.0.state().messages.all.clone()
    }

    /// Fires a schedule, as its cron expression would: a message of its own each time. The id of
    /// that message; nothing when the schedule is paused, or there is none.
    pub fn tick(&self, schedule_id: &str) -> Option<String> {
        let draft = self.0.state().schedules.draft(schedule_id)?;
        let (_, published) = publish(self.0.shared(), draft);
        published["messageId"].as_str().map(str::to_owned)
    }

    /// Forgets every deduplication id, as ten minutes would.
    pub fn ten_minutes_pass(&self) {
        self.0.state().messages.by_deduplication.clear();
    }

    /// Delivers from now on, waiting messages included.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn deliver(&self, courier: courier::Courier) -> anyhow::Result<()> {
        let dispatcher = Arc::new(courier::Dispatcher::new(courier)?);
        let waiting: Vec<String> = {
            let mut state = self.0.state();
            state.dispatcher = Some(dispatcher);
            let all = state.messages.all.iter();
            let waiting = all.filter(|message| message.fate == Fate::Waiting);
            waiting.map(|message| message.id.clone()).collect()
        };
        for id in waiting {
            courier::send_out(self.0.shared(), &id);
        }
        Ok(())
    }
}
