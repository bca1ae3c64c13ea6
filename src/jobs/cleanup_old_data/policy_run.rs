//! One policy's run: a batch at a time, until its table has been walked.
//!
//! Owns how far the walk has come; [`on_failure`] decides what a failure
//! costs.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Results;
use super::batch::{self, AHEAD, Step};
use crate::engine::{JobContext, JobError};
use crate::retention::moment::Moment;
use crate::retention::policies::Policy;
use crate::retention::target::{BatchBounds, Key, KeyRange, Keys, LockPolicy, Target};

mod on_failure;

/// A policy that is carried out.
pub(super) struct PolicyRun {
    target: &'static dyn Target,
    /// Which of the results' policies this is.
    index: usize,
    pub(super) cutoff: DateTime<Utc>,
    stage: Stage,
    progress: Checkpoint,
    /// Rows of the next batch.
    size: i64,
    /// Rows per batch while nothing fails.
    full_size: i64,
    /// The first row that another transaction holds ends the waiting, for the
    /// rest of the run.
    locks: LockPolicy,
    /// Whether the rows of the next batch are erased one by one.
    each: bool,
    /// Failures in a row.
    failures: u32,
    /// Rows in a row that could not be erased, each on its own.
    stuck: i64,
    /// Whether it has tried a batch at all.
    pub(super) has_begun: bool,
}

/// How far a policy's walk has come, for a continuation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    after: Key,
    /// Rows that may still be looked at.
    left: u64,
    /// Rows that others held, or that came meanwhile; they are still there.
    skipped: i64,
    /// Rows that the database refused to erase.
    #[serde(default)]
    refused: i64,
    held: i64,
    /// Rows per batch, once that many took too long.
    #[serde(default)]
    full_size: Option<i64>,
    /// What has kept the policy from erasing everything so far.
    #[serde(default)]
    error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Walking,
    /// Every row past the cutoff was looked at.
    AtTheEnd,
    /// As many as the caller allows.
    AtTheLimit,
    GivenUp,
}

impl PolicyRun {
    /// The policy at the beginning of its walk, or where the run before it
    /// stopped: rows that are held, or that other transactions hold, are
    /// passed once in a chain.
    ///
    /// # Errors
    /// A sentence, when the policy cannot be carried out.
    pub(super) fn new(
        ctx: &JobContext,
        policy: &Policy,
        index: usize,
        before: Option<Checkpoint>,
    ) -> Result<Self, String> {
        let target = policy.find_target()?;
        let cutoff = TimeDelta::try_days(policy.keep_days.into())
            .and_then(|days| ctx.now.checked_sub_signed(days))
            .ok_or("keep_days leads past the beginning of time")?;
        let progress = before.unwrap_or_else(|| Checkpoint {
            after: Key::first(target.facts()),
            left: ctx.options.row_limit(),
            skipped: 0,
            refused: 0,
            held: 0,
            full_size: None,
            error: None,
        });
        let size = ctx.options.batch_size_or(target.facts().batch_size);
        let size = progress.full_size.map_or(size, |full| full.min(size));
        Ok(Self {
            target,
            index,
            cutoff,
            stage: if progress.left == 0 {
                Stage::AtTheLimit
            } else {
                Stage::Walking
            },
            progress,
            size,
            full_size: size,
            locks: LockPolicy::Wait,
            each: false,
            failures: 0,
            stuck: 0,
            has_begun: false,
        })
    }

    pub(super) fn table(&self) -> &'static str {
        self.target.facts().table
    }

    /// What kept the runs before this one from erasing everything.
    pub(super) fn error_before(&self) -> Option<String> {
        self.progress.error.clone()
    }

    pub(super) fn checkpoint(&self, results: &Results) -> Checkpoint {
        Checkpoint {
            error: results.policies[self.index].error.clone(),
            ..self.progress.clone()
        }
    }

    pub(super) fn is_walking(&self) -> bool {
        self.stage == Stage::Walking
    }

    /// Whether the policy has shown that it can be carried out.
    pub(super) fn has_passed(&self) -> bool {
        self.has_begun && self.failures == 0
    }

    /// Erases one batch; `results` count it once it is kept.
    pub(super) async fn erase_batch(
        &mut self,
        ctx: &JobContext,
        results: &mut Results,
    ) -> Result<(), JobError> {
        self.has_begun = true;
        let mut batch = ctx.fence.batch().await?;
        let mut range = self.range_after(ctx, self.progress.after.clone());
        let room = results.samples.room(ctx, self.table());
        range.samples = room.try_into().unwrap_or_default();
        let asked = range.size;
        let mut found = None;
        let step = match batch::erase(ctx, &mut batch, self.target, range, &mut found).await {
            Ok(step) => step,
            Err(error) => {
                batch.undo().await?;
                return self.on_failure(error, found, results);
            }
        };
        let mut sum = results.clone();
        sum.add(ctx, self.index, self.table(), &step);
        if let Err(error) = batch.commit(&sum).await {
            return self.on_failure(error, found, results);
        }
        *results = sum;
        self.advance(ctx, asked, &step, results);
        Ok(())
    }

    fn range_after(&self, ctx: &JobContext, after: Key) -> KeyRange {
        KeyRange {
            cutoff: self.cutoff,
            now: ctx.now,
            upto: after.clone(),
            until: if !self.target.facts().judges_ahead || self.is_ahead(&after) {
                Moment::LAST
            } else {
                self.cutoff.into()
            },
            size: self
                .size
                .min(self.progress.left.try_into().unwrap_or(i64::MAX)),
            after,
            any_held: false,
            locks: self.locks,
            samples: 0,
            each: self.each,
            keys: Keys::default(),
        }
    }

    /// Whether this is among rows that are dated in the future: none before them is
    /// looked at beyond the cutoff.
    fn is_ahead(&self, after: &Key) -> bool {
        after.at > self.cutoff.into()
    }

    /// Where the walk goes on behind the present, if it does.
    fn leap(&self, ctx: &JobContext, after: &Key) -> Option<Key> {
        let facts = self.target.facts();
        let leaps = facts.judges_ahead && !self.is_ahead(after);
        leaps.then(|| Key {
            at: (ctx.now + AHEAD).into(),
            ..Key::first(facts)
        })
    }

    /// Goes past the rows of a batch that was kept.
    fn advance(&mut self, ctx: &JobContext, asked: i64, step: &Step, results: &mut Results) {
        self.failures = 0;
        let Some(erased) = &step.erased else {
            return;
        };
        let free = step.bounds.free();
        self.progress.held += step.bounds.held;
        self.progress.refused += erased.refused;
        // Rows may have come into the range since it was looked at.
        self.progress.skipped += (free - erased.rows - erased.refused).max(0);
        self.note_refused(erased, results);
        // Held and refused rows must not use up what is allowed.
        let used = free - erased.refused;
        self.move_past(&step.bounds, used.try_into().unwrap_or_default());
        if step.bounds.looked < asked {
            match self.leap(ctx, &self.progress.after) {
                Some(ahead) => self.progress.after = ahead,
                None => self.stage = Stage::AtTheEnd,
            }
        }
        self.size = (self.size * 2).min(self.full_size);
        if self.each {
            self.size = self.size.min(on_failure::MOST_EACH);
        }
    }

    fn move_past(&mut self, bounds: &BatchBounds, rows: u64) {
        self.progress.left = self.progress.left.saturating_sub(rows);
        if let Some(upto) = bounds.upto() {
            self.progress.after = upto;
        }
        if self.progress.left == 0 {
            self.stage = Stage::AtTheLimit;
        }
    }

    /// How many rows the walk has not come to: those that are free, and those that
    /// are held.
    async fn count_beyond(&self, ctx: &JobContext) -> Result<Option<(i64, i64)>, JobError> {
        let (mut free, mut held) = (0, 0);
        let mut next = Some(self.progress.after.clone());
        while let Some(after) = next {
            next = self.leap(ctx, &after);
            let range = self.range_after(ctx, after);
            let Some(bounds) = batch::count(ctx, self.target, range).await? else {
                return Ok(None);
            };
            free += bounds.free();
            held += bounds.held;
        }
        Ok(Some((free, held)))
    }

    /// Counts the rows past the cutoff that are left: those that were passed
    /// are known, only those beyond the walk are counted; and those that a
    /// moment in the future keeps.
    pub(super) async fn count_remaining(
        &self,
        ctx: &JobContext,
        results: &mut Results,
    ) -> Result<(), JobError> {
        let beyond = if self.stage == Stage::AtTheEnd {
            Some((0, 0))
        } else if ctx.budget.is_past_grace() {
            None
        } else {
            self.count_beyond(ctx).await?
        };
        let ahead = if ctx.budget.is_past_grace() {
            None
        } else {
            batch::count_ahead(ctx, self.target).await?
        };
        let (passed, outcome) = (&self.progress, &mut results.policies[self.index]);
        outcome.remaining = beyond.map(|(free, _)| passed.skipped + passed.refused + free);
        (outcome.locked, outcome.refused) = (passed.skipped, passed.refused);
        outcome.held = beyond.map(|(_, held)| passed.held + held);
        outcome.held_by_future = ahead.map(|kept| kept + outcome.freed);
        Ok(())
    }
}
