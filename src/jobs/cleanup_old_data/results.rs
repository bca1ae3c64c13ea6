//! What a run did, policy by policy, as the ledger keeps it.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::batch::Step;
use crate::engine::results::Samples;
use crate::engine::{JobContext, JobError};
use crate::retention::policies::Policy;

/// What a run did, or in a dry run would do.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Results {
    /// Rows deleted, redacted or anonymised, of all policies.
    pub(super) rows_erased: i64,
    /// Policies that were given up, or had rows refused.
    pub(super) policies_failed: u32,
    /// Policy by policy, in the order of the rotation.
    pub(super) policies: Vec<Outcome>,
    /// In a dry run, the first fifty ids of each policy.
    #[serde(skip_serializing_if = "Samples::is_empty")]
    pub(super) samples: Samples,
}

/// What became of one policy.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Outcome {
    /// The table.
    pub(super) target: String,
    /// `delete`, `anonymise` or `redact`.
    pub(super) action: String,
    /// In days.
    pub(super) keep_days: i32,
    /// What is dated before it has expired; `None` when the policy was not
    /// carried out.
    pub(super) cutoff: Option<DateTime<Utc>>,
    /// Rows erased.
    pub(super) affected: i64,
    /// Rows past the cutoff that are still there and not held: locked by
    /// others, or not reached. `None` when it took too long to count them.
    pub(super) remaining: Option<i64>,
    /// Of `remaining`, rows that another transaction held.
    pub(super) locked: i64,
    /// Of `remaining`, rows that the database refused to erase.
    pub(super) refused: i64,
    /// Rows past the cutoff that a legal hold keeps.
    pub(super) held: Option<i64>,
    /// Rows that a moment in the future keeps, and members whom one would have
    /// kept. `None` when it took too long to count them.
    pub(super) held_by_future: Option<i64>,
    /// Of `held_by_future`, those that were erased.
    #[serde(skip)]
    pub(super) freed: i64,
    /// Whether the policy is switched off; it is listed all the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) disabled: bool,
    /// Why it was given up, or the first row that was refused and passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Whether `error` is of the run that this one continues: the row is still
    /// there, behind where this one begins.
    #[serde(skip)]
    is_from_before: bool,
}

impl Results {
    /// Lists a policy that nothing has been done for yet.
    pub(super) fn list(&mut self, policy: &Policy) {
        self.policies.push(Outcome {
            target: policy.target.clone(),
            action: policy.action.clone(),
            keep_days: policy.keep_days,
            disabled: !policy.enabled,
            ..Outcome::default()
        });
    }

    /// Notes where the policy at `index` begins, and what the run before met.
    pub(super) fn begin(&mut self, index: usize, cutoff: DateTime<Utc>, error: Option<String>) {
        self.policies[index].cutoff = Some(cutoff);
        self.policies[index].is_from_before = error.is_some();
        if let Some(error) = error {
            self.note(index, error);
        }
    }

    /// Notes what keeps the policy at `index` from erasing everything; what
    /// was first stays.
    pub(super) fn note(&mut self, index: usize, error: String) {
        let Outcome {
            target,
            error: noted,
            ..
        } = &mut self.policies[index];
        if noted.is_none() {
            tracing::warn!(policy = target, %error, "Skipping what the database refuses to erase");
            self.policies_failed += 1;
            *noted = Some(error);
        }
    }

    /// Counts a batch of the policy at `index`.
    pub(super) fn add(&mut self, ctx: &JobContext, index: usize, table: &'static str, step: &Step) {
        let Some(erased) = &step.erased else {
            return;
        };
        let affected = erased.rows;
        let outcome = &mut self.policies[index];
        outcome.affected += affected;
        outcome.freed += erased.ahead;
        self.rows_erased += affected;
        // Where a row was skipped, it is not known which.
        if affected == step.bounds.free() {
            let ids = step.bounds.samples.as_deref().unwrap_or_default();
            self.samples.add(ctx, table, ids);
        }
    }

    /// Why the run failed, when not one enabled policy could be carried out.
    pub(super) fn none_passed(&self) -> Option<JobError> {
        let mut enabled = self.policies.iter().filter(|outcome| !outcome.disabled);
        let first = enabled.next()?;
        let passed = |outcome: &Outcome| {
            outcome.error.is_none() || outcome.is_from_before || outcome.affected > 0
        };
        if passed(first) || enabled.any(passed) {
            return None;
        }
        let (target, error) = (&first.target, first.error.as_deref()?);
        Some(JobError::Failed(anyhow::anyhow!(
            "no policy could be carried out; {target}: {error}"
        )))
    }
}
