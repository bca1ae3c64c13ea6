//! The signing keys: read, rolled, and set by the double's owner.
//!
//! Rolling makes the next key the current one and makes a new next one:
//! <https://upstash.com/docs/qstash/howto/roll-signing-keys>.

use serde_json::json;

use super::QstashDouble;
use super::service::{Answer, Shared};
use crate::demo::double::Call;

/// The pair the double would sign with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// What it signs with now.
    pub current: String,
    /// What it will sign with after the next roll.
    pub next: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            current: fresh(),
            next: fresh(),
        }
    }
}

impl Keys {
    fn roll(&mut self) {
        self.current = std::mem::replace(&mut self.next, fresh());
    }
}

impl QstashDouble {
    /// The keys as they are.
    #[must_use]
    pub fn keys(&self) -> Keys {
        self.0.state().keys.clone()
    }

    /// Gives it these keys.
    pub fn set_keys(&self, current: &str, next: &str) {
        self.0.state().keys = Keys {
            current: current.to_owned(),
            next: next.to_owned(),
        };
    }

    /// Rolls the keys, as its console would.
    pub fn roll_keys(&self) {
        self.0.state().keys.roll();
    }
}

/// Answers a call about the keys; `None` when it is about something else.
pub(super) fn answer(state: &Shared, call: &Call) -> Option<Answer> {
    let mut state = state.lock();
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/v2/keys") => {}
        ("POST", "/v2/keys/rotate") => state.keys.roll(),
        _ => return None,
    }
    let Keys { current, next } = &state.keys;
    Some((200, json!({ "current": current, "next": next })))
}

fn fresh() -> String {
    format!("sig_{}", uuid::Uuid::new_v4().simple())
}
