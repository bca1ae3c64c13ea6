//! What each policy means in statements: one rule per table, children before
//! parents.
//!
//! A rule has two statements. `reach` says how far the next batch goes along
//! the index that its table is walked by, and changes nothing; `erase` does
//! away with that span, but for what a legal hold covers. Each repeats the
//! state that it expects. Which rules run, and how often, is not decided here.

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use serde::{Deserialize, Serialize};
use sqlx::Result;
use uuid::Uuid;

use super::policies::Policy;
use super::{attendance, conversations, kiosks, logs, members};
use crate::database::Unprepared;

/// Every rule there is, in the order of its turns.
pub(crate) static RULES: [Rule; 10] = [
    Rule {
        reach: |db, span| conversations::reach_events(db, span).boxed(),
        erase: |db, span| {
            conversations::delete_events(db, span)
                .map_ok(|done| Some(done.rows_affected()))
                .boxed()
        },
        ..Rule::on("conversation_events", "delete")
    },
    Rule {
        before_all: NO_UUID,
        reach: |db, span| conversations::reach_sessions(db, span).boxed(),
        erase: |db, span| {
            conversations::redact_sessions(db, span)
                .map_ok(|done| Some(done.rows_affected()))
                .boxed()
        },
        ..Rule::on("conversation_sessions", "redact")
    },
    Rule {
        reach: |db, span| kiosks::reach_heartbeats(db, span).boxed(),
        erase: |db, span| {
            kiosks::delete_heartbeats(db, span)
                .map_ok(|done| Some(done.rows_affected()))
                .boxed()
        },
        ..Rule::on("kiosk_heartbeats", "delete")
    },
    Rule {
        before_all: NO_UUID,
        reach: |db, span| kiosks::reach_alerts(db, span).boxed(),
        erase: |db, span| {
            kiosks::delete_alerts(db, span)
                .map_ok(|done| Some(done.rows_affected()))
                .boxed()
        },
        ..Rule::on("alerts", "delete")
    },
    Rule {
        reach: |db, span| attendance::reach_visits(db, span).boxed(),
        erase: |db, span| {
            attendance::delete_visits(db, span)
                .map_ok(|done| Some(done.rows_affected()))
                .boxed()
        },
        ..Rule::on("visits", "delete")
    },
    Rule {
        before_all: "00000000-0000-0000-0000-000000000000/00000000-0000-0000-0000-000000000000",
        reach: |db, span| attendance::reach_predictions(db, span).boxed(),
        erase: |db, span| {
            attendance::delete_predictions(db, span)
                .map_ok(|done| Some(done.rows_affected()))
                .boxed()
        },
        ..Rule::on("member_churn_history", "delete")
    },
    Rule {
        before_all: NO_UUID,
        batch: 200,
        reach: |db, span| members::reach(db, span).boxed(),
        erase: |db, span| members::anonymise(db, span).boxed(),
        ..Rule::on("members", "anonymise")
    },
    Rule {
        floor_days: 30,
        reach: |db, span| logs::reach_logs(db, span).boxed(),
        erase: |db, span| {
            logs::delete_logs(db, span)
                .map_ok(|done| Some(done.rows_affected()))
                .boxed()
        },
        ..Rule::on("system_logs", "delete")
    },
    Rule {
        floor_days: 30,
        before_all: NO_UUID,
        reach: |db, span| logs::reach_runs(db, span).boxed(),
        erase: |db, span| {
            logs::delete_runs(db, span)
                .map_ok(|done| Some(done.rows_affected()))
                .boxed()
        },
        ..Rule::on("job_runs", "delete")
    },
    Rule {
        floor_days: 30,
        before_all: NO_UUID,
        reach: |db, span| logs::reach_failures(db, span).boxed(),
        erase: |db, span| {
            logs::delete_failures(db, span)
                .map_ok(|done| Some(done.rows_affected()))
                .boxed()
        },
        ..Rule::on("delivery_failures", "delete")
    },
];

const NO_UUID: &str = "00000000-0000-0000-0000-000000000000";

/// How one table is erased from.
pub(crate) struct Rule {
    /// The table.
    pub(crate) target: &'static str,
    /// `delete`, `anonymise` or `redact`.
    pub(crate) action: &'static str,
    /// What `keep_days` may not go under, whatever the table of policies says.
    pub(crate) floor_days: i32,
    /// Rows per transaction, when the caller names no number.
    pub(crate) batch: u32,
    /// An id that stands before all others.
    pub(crate) before_all: &'static str,
    /// Says how far the next batch goes.
    pub(crate) reach: for<'a> fn(Unprepared<'a>, &'a Span) -> BoxFuture<'a, Result<Reach>>,
    /// Erases up to there, and answers how many rows; `None` when what hangs
    /// on them was too much for one batch, and the same span must be taken
    /// once more.
    pub(crate) erase: for<'a> fn(Unprepared<'a>, &'a Span) -> BoxFuture<'a, Result<Option<u64>>>,
}

/// A part of a table, along the index that it is walked by.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    /// What is dated before it is past its keeping.
    pub(crate) cutoff: DateTime<Utc>,
    /// The moment of the run.
    pub(crate) now: DateTime<Utc>,
    /// The run.
    pub(crate) run_id: Uuid,
    /// The last row that was passed before.
    pub(crate) after: Key,
    /// The last row of the span; `reach` finds it.
    pub(crate) upto: Key,
    /// The most rows of the span.
    pub(crate) size: i64,
    /// Whether any legal hold is active; without one, no statement asks whom
    /// its rows belong to.
    pub(crate) any_held: bool,
    /// Whether to pass rows that somebody else holds, which costs a lock for
    /// every row; otherwise the statement fails on them soon.
    pub(crate) careful: bool,
    /// How many ids to bring back.
    pub(crate) samples: i32,
}

/// A row's place in its walk, as text, which holds every date that Postgres
/// has, the infinite ones too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) at: String,
    pub(crate) id: String,
}

/// How far a batch goes: so many rows, so many of them under a legal hold.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    pub(crate) looked: i64,
    pub(crate) held: i64,
    pub(crate) at: Option<String>,
    pub(crate) id: Option<String>,
    /// The first ids that are not held, if any were asked for.
    pub(crate) samples: Option<Vec<String>>,
}

impl Rule {
    const fn on(target: &'static str, action: &'static str) -> Self {
        Self {
            target,
            action,
            floor_days: 1,
            batch: 5_000,
            before_all: "-9223372036854775808",
            reach: |_, _| futures::future::ready(Err(sqlx::Error::RowNotFound)).boxed(),
            erase: |_, _| futures::future::ready(Err(sqlx::Error::RowNotFound)).boxed(),
        }
    }

    /// The rule for that table.
    pub(crate) fn find(target: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.target == target)
    }

    /// The rule that `policy` asks for.
    ///
    /// # Errors
    /// A sentence, when there is none or it would erase too early.
    pub(crate) fn of(policy: &Policy) -> std::result::Result<&'static Self, String> {
        let target = &policy.target;
        let rule = Self::find(target)
            .ok_or_else(|| format!("{target} is out of reach: nothing is erased from it"))?;
        if rule.action != policy.action {
            return Err(format!(
                "the action for {target} is {}, not {}",
                rule.action, policy.action
            ));
        }
        let floor = policy.floor_days();
        if policy.keep_days < floor {
            return Err(format!(
                "keep_days is {}, under the floor of {floor}",
                policy.keep_days
            ));
        }
        Ok(rule)
    }

    /// Before the first row of the walk.
    pub(crate) fn beginning(&self) -> Key {
        Key {
            at: "-infinity".to_owned(),
            id: self.before_all.to_owned(),
        }
    }
}
