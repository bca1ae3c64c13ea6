//! The schedules: made, replaced as a whole, listed, paused, resumed and deleted.
//!
//! Sources: <https://upstash.com/docs/qstash/api-reference/schedules/create-a-schedule> and its
//! neighbours, <https://upstash.com/docs/qstash/howto/redact-fields>. Two things are not documented
//! and can be chosen: whether replacing a paused schedule resumes it, and what exactly is
//! hashed where a value is redacted.

use std::collections::BTreeMap;

use serde_json::Value;

use super::message::Draft;
use super::service::{Answer, refuse};
use crate::demo::double::Call;

mod kept;

use kept::Kept;

/// All schedules, and how they are kept.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    kept: BTreeMap<String, Kept>,
    /// How many there may be; no limit at first.
    pub(super) most: Option<usize>,
    /// Whether replacing a paused schedule resumes it.
    pub(super) upsert_resumes: bool,
    /// Put before a redacted value when it is hashed.
    pub(super) salt: String,
    /// Listed instead of what is kept.
    pub(super) instead: Option<Value>,
    made: u64,
}

impl Schedules {
    /// Answers a call about schedules; `None` when it is about something else.
    pub(super) fn answer(&mut self, call: &Call) -> Option<Answer> {
        let rest = call.path.strip_prefix("/v2/schedules")?;
        let rest = match rest.strip_prefix('/') {
            Some(rest) => rest,
            None if rest.is_empty() => "",
            None => return None,
        };
        let (id, verb) = match rest.rsplit_once('/') {
            Some((id, verb @ ("pause" | "resume"))) => (id, verb),
            _ => (rest, ""),
        };
        Some(match (call.method.as_str(), verb) {
            ("PATCH" | "POST", "pause") if !id.contains(':') => self.pause(id, true),
            ("PATCH" | "POST", "resume") if !id.contains(':') => self.pause(id, false),
            ("POST", _) if !rest.is_empty() => self.put(rest, call),
            ("GET", "") if rest.is_empty() => (200, self.list()),
            ("GET", "") => match self.get(rest) {
                Some(schedule) => (200, schedule),
                None => unknown(rest),
            },
            ("DELETE", "") if !rest.is_empty() => self.delete(rest),
            _ => return None,
        })
    }

    /// A schedule as it is listed.
    pub(super) fn get(&self, id: &str) -> Option<Value> {
        Some(self.kept.get(id)?.listed(id, &self.salt))
    }

    /// What a tick of it delivers; nothing while it is paused.
    pub(super) fn draft(&self, id: &str) -> Option<Draft> {
        let kept = self.kept.get(id).filter(|kept| !kept.is_paused)?;
        Some(kept.draft(id))
    }

    fn list(&self) -> Value {
        if let Some(instead) = &self.instead {
            return instead.clone();
        }
        self.kept
            .iter()
            .map(|(id, kept)| kept.listed(id, &self.salt))
            .collect()
    }

    /// Makes a schedule, or replaces all of it.
    fn put(&mut self, destination: &str, call: &Call) -> Answer {
        self.made += 1;
        let id = match call.header("upstash-schedule-id") {
            None => format!("scd_{:026}", self.made),
            Some(id) if is_an_id(id) => id.to_owned(),
            Some(_) => return refuse(400, "invalid schedule id"),
        };
        let mut kept = match Kept::read(destination, call) {
            Ok(kept) => kept,
            Err(why) => return refuse(400, why),
        };
        match self.kept.get(&id) {
            None if self.most.is_some_and(|most| self.kept.len() >= most) => {
                return refuse(412, "quota maximum schedules exceeded");
            }
            None => kept.created_at = 1_795_000_000_000 + self.made,
            Some(before) => {
                kept.created_at = before.created_at;
                kept.is_paused = before.is_paused && !self.upsert_resumes;
            }
        }
        self.kept.insert(id.clone(), kept);
        (200, serde_json::json!({ "scheduleId": id }))
    }

    fn pause(&mut self, id: &str, is_paused: bool) -> Answer {
        match self.kept.get_mut(id) {
            Some(kept) => {
                kept.is_paused = is_paused;
                (200, Value::Null)
            }
            None => unknown(id),
        }
    }

    fn delete(&mut self, id: &str) -> Answer {
        match self.kept.remove(id) {
            Some(_) => (202, Value::Null),
            None => unknown(id),
        }
    }
}

fn unknown(id: &str) -> Answer {
    refuse(404, &format!("schedule {id} not found"))
}

/// Letters, digits, `-`, `_` and `.`.
fn is_an_id(id: &str) -> bool {
    let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !id.is_empty() && id.chars().all(is_known)
}
