//! The targets: one per table that a policy may erase from, children before
//! parents.
//!
//! A target has two statements. `bounds` says how far the next batch goes
//! along the index that its table is walked by, and changes nothing; `erase`
//! erases that range, except what a legal hold covers. Which targets run, and
//! how often, is the job's decision.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::Result;

use super::{attendance, conversations, kiosks, logs, members};
use crate::database::Unprepared;

/// Every target, in the order of the rotation.
pub(crate) static ALL: [&dyn Target; 10] = [
    &conversations::ConversationEvents,
    &conversations::ConversationSessions,
    &kiosks::KioskHeartbeats,
    &kiosks::Alerts,
    &attendance::Visits,
    &attendance::ChurnHistory,
    &members::Members,
    &logs::SystemLogs,
    &logs::JobRuns,
    &logs::DeliveryFailures,
];

/// What a policy means in statements. The macro
/// [`target!`](super::statements::target) implements it.
pub(crate) trait Target: Sync {
    fn facts(&self) -> &'static Facts;

    /// Says how far the next batch goes after `range.after`.
    fn bounds<'a>(&self, db: Unprepared<'a>, range: &'a KeyRange) -> Answer<'a, BatchBounds>;

    /// Erases the range and answers how many rows; `None` when what refers to
    /// them is too much for one batch, and the same range must be erased once
    /// more.
    fn erase<'a>(&self, db: Unprepared<'a>, range: &'a KeyRange) -> Answer<'a, Option<u64>>;
}

/// What a statement of a target answers.
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T>>;

/// What is fixed about a target.
pub(crate) struct Facts {
    pub(crate) table: &'static str,
    /// `delete`, `anonymise` or `redact`.
    pub(crate) action: &'static str,
    /// The least `keep_days`, whatever the table of policies says.
    pub(crate) floor_days: i32,
    /// Rows per transaction, when the caller names no number.
    pub(crate) batch_size: u32,
    /// An id that sorts before all others.
    pub(crate) first_id: &'static str,
}

impl Facts {
    /// What most targets have in common.
    pub(super) const USUAL: Self = Self {
        table: "",
        action: "delete",
        floor_days: 1,
        batch_size: 5_000,
        first_id: "00000000-0000-0000-0000-000000000000",
    };
}

/// The target with that table.
pub(crate) fn find(table: &str) -> Option<&'static dyn Target> {
    ALL.into_iter().find(|target| target.facts().table == table)
}

/// Begins a batch: limits how long its statements may wait for locks, and run
/// where that is less than in any batch; says whether any legal hold is active.
/// Compiling a statement that runs once takes longer than running it.
pub(crate) async fn begin_batch(
    db: Unprepared<'_>,
    lock_timeout: Duration,
    statement_timeout: Option<Duration>,
    now: DateTime<Utc>,
) -> Result<bool> {
    let begun = sqlx::query!(
        r#"
        select set_config('lock_timeout', $1, true) as locks,
               set_config('statement_timeout', coalesce($2, current_setting('statement_timeout')), true) as statements,
               set_config('jit', 'off', true) as jit,
               exists (
                   select from legal_holds
                    where until is null
                       or until > $3
               ) as "any_held!"
        "#,
        lock_timeout.as_millis().to_string(),
        statement_timeout.map(|timeout| timeout.as_millis().to_string()),
        now,
    )
    .fetch_one(db)
    .await?;
    Ok(begun.any_held)
}

/// A part of a table, along the index that it is walked by.
#[derive(Debug, Clone)]
pub(crate) struct KeyRange {
    /// What is dated before it has expired.
    pub(crate) cutoff: DateTime<Utc>,
    /// The moment of the run.
    pub(crate) now: DateTime<Utc>,
    /// The last row before the range.
    pub(crate) after: Key,
    /// The last row of the range; `bounds` finds it.
    pub(crate) upto: Key,
    /// The most rows of the range.
    pub(crate) size: i64,
    /// Whether any legal hold is active; without one, no statement asks whom
    /// its rows belong to.
    pub(crate) any_held: bool,
    /// What to do about rows that another transaction holds.
    pub(crate) locks: LockPolicy,
    /// How many ids to bring back.
    pub(crate) samples: i32,
}

/// A row's position in the walk, as text, which holds every date that Postgres
/// has, the infinite ones too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) at: String,
    pub(crate) id: String,
}

/// What `erase` does about a row that another transaction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockPolicy {
    /// It waits for the row, and soon fails.
    Wait,
    /// It passes the row, which costs a lock for every row.
    SkipLocked,
}

/// How far a batch goes: so many rows, so many of them under a legal hold.
#[derive(Debug, Clone)]
pub(crate) struct BatchBounds {
    pub(crate) looked: i64,
    pub(crate) held: i64,
    pub(crate) at: Option<String>,
    pub(crate) id: Option<String>,
    /// The first ids that are not held, if any were asked for.
    pub(crate) samples: Option<Vec<String>>,
}

impl BatchBounds {
    /// Rows that no hold covers.
    pub(crate) fn free(&self) -> i64 {
        self.looked - self.held
    }

    /// The last row of the batch; `None` when it has none.
    pub(crate) fn upto(&self) -> Option<Key> {
        let (at, id) = self.at.clone().zip(self.id.clone())?;
        Some(Key { at, id })
    }
}
