//! One policy's place in the rotation: a batch at a time, until its walk ends.
//!
//! Owns the walk; what a failure means stands in [`falter`]. A row that
//! somebody else holds costs the policy its haste for the rest of the run.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Results, SAMPLES};
use crate::engine::{Batch, JobContext, JobError, context};
use crate::retention::erasure_log::{self, Patience};
use crate::retention::policies::Policy;
use crate::retention::rules::{Key, Reach, Rule, Span};

mod on_failure;

/// A first try gives way to whoever holds a row.
const HASTY: Patience = Patience {
    for_locks: Duration::from_millis(100),
    for_statements: Duration::from_secs(20),
};
/// A policy at work.
pub(super) struct PolicyRun {
    pub(super) rule: &'static Rule,
    /// Which of the results is this policy's.
    pub(super) place: usize,
    pub(super) span: Span,
    stage: Stage,
    /// Rows that may still be looked at.
    left: u64,
    /// Rows per batch while nothing fails.
    full_size: i64,
    /// Where the batch at hand ends, once that is known.
    reached: Option<Reach>,
    /// Failures in a row.
    failures: u32,
    /// Rows in a row that could not be erased, each on its own.
    stuck: u32,
    has_begun: bool,
    /// Rows that were passed and are still there.
    pub(super) skipped: i64,
    pub(super) held: i64,
}

/// How far a policy's walk has come, for a continuation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    after: Key,
    left: u64,
    skipped: i64,
    held: i64,
    /// What kept the policy from erasing everything so far.
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

/// What one batch came to.
struct Step {
    asked: i64,
    reach: Reach,
    /// `None` when the same span must be taken once more.
    erased: Option<i64>,
}

impl PolicyRun {
    /// The policy at the beginning of its walk; its results stand at `place`.
    ///
    /// # Errors
    /// A sentence, when the policy cannot be carried out.
    pub(super) fn of(ctx: &JobContext, policy: &Policy, place: usize) -> Result<Self, String> {
        let rule = Rule::of(policy)?;
        let cutoff = TimeDelta::try_days(policy.keep_days.into())
            .and_then(|days| ctx.now.checked_sub_signed(days))
            .ok_or("keep_days leads past the beginning of time")?;
        Ok(Self {
            rule,
            place,
            span: Span {
                cutoff,
                now: ctx.now,
                run_id: ctx.fence.run_id(),
                after: rule.beginning(),
                upto: rule.beginning(),
                size: ctx.options.batch_size_or(rule.batch),
                any_held: false,
                careful: false,
                samples: 0,
            },
            stage: Stage::Walking,
            left: ctx.options.row_limit(),
            full_size: ctx.options.batch_size_or(rule.batch),
            reached: None,
            failures: 0,
            stuck: 0,
            has_begun: false,
            skipped: 0,
            held: 0,
        })
    }

    /// Goes on where the run before stood: rows that are held, or that others
    /// hold, are passed once in a chain.
    pub(super) fn resume(&mut self, before: Option<Checkpoint>, results: &mut Results) {
        let Some(before) = before else {
            return;
        };
        if let Some(error) = before.error {
            results.note_again(self.place, error);
        }
        self.span.after = before.after;
        self.left = before.left;
        self.skipped = before.skipped;
        self.held = before.held;
        if self.left == 0 {
            self.stage = Stage::AtTheLimit;
        }
    }

    pub(super) fn stood(&self, results: &Results) -> Checkpoint {
        Checkpoint {
            error: results.policies[self.place].error.clone(),
            after: self.span.after.clone(),
            left: self.left,
            skipped: self.skipped,
            held: self.held,
        }
    }

    pub(super) fn cutoff(&self) -> DateTime<Utc> {
        self.span.cutoff
    }

    pub(super) fn target(&self) -> &'static str {
        self.rule.target
    }

    pub(super) fn is_walking(&self) -> bool {
        self.stage == Stage::Walking
    }

    /// Whether it had a turn at all.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether every row past the cutoff was looked at.
    pub(super) fn is_at_the_end(&self) -> bool {
        self.stage == Stage::AtTheEnd
    }

    /// Whether the policy has shown that it can be carried out.
    pub(super) fn has_passed(&self) -> bool {
        self.has_begun && self.failures == 0
    }

    /// Takes one batch; `results` count it once it is kept.
    pub(super) async fn take(
        &mut self,
        ctx: &JobContext,
        results: &mut Results,
    ) -> Result<(), JobError> {
        self.has_begun = true;
        let mut batch = ctx.fence.batch().await?;
        let stepped = match self.step(ctx, &mut batch, results).await {
            Ok(step) => {
                let mut sum = results.clone();
                step.add_to(&mut sum, self.place);
                batch.commit(&sum).await.map(|()| (step, sum))
            }
            Err(stop) => {
                batch.undo().await?;
                Err(stop)
            }
        };
        match stepped {
            Ok((step, sum)) => {
                *results = sum;
                self.pass(&step);
                Ok(())
            }
            Err(stop) => self.falter(stop, results),
        }
    }

    async fn step(
        &mut self,
        ctx: &JobContext,
        batch: &mut Batch<'_>,
        results: &Results,
    ) -> Result<Step, JobError> {
        self.reached = None;
        let mut span = self.span.clone();
        let mut patience = HASTY;
        if span.careful {
            // Rows that are held are passed, so this is the wait for whole tables.
            patience.for_locks = ctx.fence.lock_timeout();
        }
        span.size = span.size.min(self.left.try_into().unwrap_or(i64::MAX));
        span.samples = results.room_for_samples(self.rule.target, ctx.options.dry_run);
        span.any_held = erasure_log::open(batch.db()?, patience, span.now)
            .await
            .map_err(context("begin to erase"))?;
        let reach = (self.rule.reach)(batch.db()?, &span)
            .await
            .map_err(context("look for what is past its keeping"))?;
        self.reached = Some(reach.clone());
        let mut erased = Some(0);
        if let Some(upto) = reach.upto()
            && reach.looked > reach.held
        {
            span.upto = upto;
            erased = (self.rule.erase)(batch.db()?, &span)
                .await
                .map_err(context("erase what is past its keeping"))?
                .map(|rows| rows.try_into().unwrap_or(i64::MAX));
        }
        if let Some(affected @ 1..) = erased {
            erasure_log::log(batch.db()?, self.rule, &span, affected)
                .await
                .map_err(context("log the erasure"))?;
        }
        Ok(Step {
            asked: span.size,
            reach,
            erased,
        })
    }

    /// Goes past the rows of a batch that was kept.
    fn pass(&mut self, step: &Step) {
        self.failures = 0;
        self.stuck = 0;
        let Some(erased) = step.erased else {
            return;
        };
        let free = step.reach.free();
        self.held += step.reach.held;
        // Rows may have come into the span since it was looked at.
        self.skipped += (free - erased).max(0);
        // What is held is not work, and must not use up what is allowed.
        self.left -= self.left.min(free.try_into().unwrap_or_default());
        if let Some(upto) = step.reach.upto() {
            self.span.after = upto;
        }
        if step.reach.looked < step.asked {
            self.stage = Stage::AtTheEnd;
        } else if self.left == 0 {
            self.stage = Stage::AtTheLimit;
        }
        self.span.size = (self.span.size * 2).min(self.full_size);
    }
}

impl Step {
    fn add_to(&self, sum: &mut Results, place: usize) {
        let Some(affected) = self.erased else {
            return;
        };
        let outcome = &mut sum.policies[place];
        outcome.affected += affected;
        sum.rows_erased += affected;
        let ids = self.reach.samples.clone().unwrap_or_default();
        // Where a row was passed, who knows which.
        if !ids.is_empty() && affected == self.reach.free() {
            let samples = sum.samples.entry(outcome.target.clone()).or_default();
            let room = SAMPLES.saturating_sub(samples.len());
            samples.extend(ids.into_iter().take(room));
        }
    }
}

impl Reach {
    /// Rows that no hold covers.
    pub(super) fn free(&self) -> i64 {
        self.looked - self.held
    }

    fn upto(&self) -> Option<Key> {
        let (at, id) = self.at.clone().zip(self.id.clone())?;
        Some(Key { at, id })
    }
}
