//! The targets: one per table that a policy may erase from, children before
//! parents.
//!
//! A target has three statements. `bounds` says how far the next batch goes
//! along the index that its table is walked by, and changes nothing; `erase`
//! erases that range, except what a legal hold covers; `count_ahead` counts
//! what only a moment in the future keeps. Which targets run, and how often,
//! is the job's decision.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::Result;

use super::moment::Moment;
use super::{attendance, conversations, kiosks, logs, members, reports};
use crate::database::Unprepared;

/// Every target, in the order of the rotation.
pub(crate) static ALL: [&dyn Target; 12] = [
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
    &reports::ReportDeliveries,
    &logs::AuditEvents,
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
    fn erase<'a>(&self, db: Unprepared<'a>, range: &'a KeyRange) -> Answer<'a, Option<Erased>>;

    /// Counts rows that are kept because they are dated after `ahead`.
    fn count_ahead<'a>(&self, db: Unprepared<'a>, ahead: DateTime<Utc>) -> Answer<'a, i64>;
}

/// What became of the rows of a range that no hold covers.
#[derive(Debug, Default)]
pub(crate) struct Erased {
    pub(crate) rows: i64,
    /// Rows that the database refused, and why it refused the first.
    pub(crate) refused: i64,
    pub(crate) first_error: Option<String>,
    /// Rows erased that a moment in the future would have kept.
    pub(crate) ahead: i64,
}

impl Erased {
    pub(super) fn all(rows: u64) -> Self {
        Self {
            rows: rows.try_into().unwrap_or(i64::MAX),
            ..Self::default()
        }
    }
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
    /// Whether one transaction can erase its rows one by one.
    pub(crate) erases_each: bool,
    /// Whether a row whose key has not come is judged by another moment. Then the
    /// walk goes on behind the present, and else not beyond the cutoff.
    pub(crate) judges_ahead: bool,
}

impl Facts {
    /// What most targets have in common.
    pub(super) const USUAL: Self = Self {
        table: "",
        action: "delete",
        floor_days: 1,
        batch_size: 5_000,
        first_id: "00000000-0000-0000-0000-000000000000",
        erases_each: true,
        judges_ahead: false,
    };
}

/// The target with that table.
pub(crate) fn find(table: &str) -> Option<&'static dyn Target> {
    ALL.into_iter().find(|target| target.facts().table == table)
}

/// Begins a batch: limits how long its statements may wait for locks, and run
/// where that is less than in any batch; says whether any legal hold is active.
/// Compiling a statement that runs once takes longer than running it. Every
/// walk has an index in its order: a plan that sorts, or reads a table from end
/// to end, has misjudged how much of it a batch is. What the customer has put
/// off to the commit is checked with each statement, so that it costs the row
/// and not the batch.
pub(crate) async fn begin_batch(
    Unprepared(db): Unprepared<'_>,
    lock_timeout: Duration,
    statement_timeout: Option<Duration>,
    now: DateTime<Utc>,
) -> Result<bool> {
    sqlx::query!("set constraints all immediate")
        .execute(Unprepared(db))
        .await?;
    let begun = sqlx::query!(
        r#"
        select set_config('lock_timeout', $1, true) as locks,
               set_config('statement_timeout', coalesce($2, current_setting('statement_timeout')), true) as statements,
               set_config('jit', 'off', true) as jit,
               set_config('enable_seqscan', 'off', true) as no_scan,
               set_config('enable_sort', 'off', true) as no_sort,
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
    .fetch_one(Unprepared(db))
    .await?;
    Ok(begun.any_held)
}

/// Executes a target's statement for each row of the range, and passes what the
/// data refuses.
pub(super) async fn erase_each(
    db: Unprepared<'_>,
    statement: &str,
    range: &KeyRange,
) -> Result<Erased> {
    sqlx::query_as!(
        Erased,
        r#"
        select erased as "rows!",
               refused as "refused!",
               first_error,
               0::bigint as "ahead!"
          from erase_each($1, $2, $3, $4, $5, $6, $7)
        "#,
        statement,
        range.any_held,
        range.now,
        range.cutoff,
        &range.keys.ats as _,
        &range.keys.ids,
        range.locks == LockPolicy::SkipLocked,
    )
    .fetch_one(db)
    .await
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
    /// No row that is dated later is looked at.
    pub(crate) until: Moment,
    /// The most rows of the range.
    pub(crate) size: i64,
    /// Whether any legal hold is active; without one, no statement asks whom
    /// its rows belong to.
    pub(crate) any_held: bool,
    /// What to do about rows that another transaction holds.
    pub(crate) locks: LockPolicy,
    /// How many ids to bring back.
    pub(crate) samples: i32,
    /// Whether to erase its rows one by one, so that those which the database
    /// refuses cost no other.
    pub(crate) each: bool,
    /// The keys of its rows, where they are erased one by one; `bounds` finds
    /// them.
    pub(crate) keys: Keys,
}

/// A row's position in the walk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) at: Moment,
    pub(crate) id: String,
}

/// Positions in the order of the walk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    pub(crate) ats: Vec<Moment>,
    pub(crate) ids: Vec<String>,
}

impl Key {
    /// Before every row.
    pub(crate) fn first(facts: &Facts) -> Self {
        Self {
            at: Moment::FIRST,
            id: facts.first_id.to_owned(),
        }
    }
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
    pub(crate) at: Option<Moment>,
    pub(crate) id: Option<String>,
    /// The key of each row, if they were asked for.
    pub(crate) ats: Option<Vec<Moment>>,
    pub(crate) ids: Option<Vec<String>>,
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
        let (at, id) = self.at.zip(self.id.clone())?;
        Some(Key { at, id })
    }

    /// The position before its rows, and then theirs.
    pub(crate) fn keys(&self, after: &Key) -> Keys {
        let ats = self.ats.iter().flatten().copied();
        let ids = self.ids.iter().flatten().cloned();
        Keys {
            ats: std::iter::once(after.at).chain(ats).collect(),
            ids: std::iter::once(after.id.clone()).chain(ids).collect(),
        }
    }
}
