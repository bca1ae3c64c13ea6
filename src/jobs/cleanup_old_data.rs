//! Erases what is past its keeping, as `retention_policies` says.
//!
//! - What: rows of ten tables, deleted, redacted or, members, anonymised;
//!   each policy with its legal basis, its floor and its legal holds.
//! - Which rows: those dated before the run's begin less `keep_days`, oldest
//!   first, by keyset; a row that is locked or under a legal hold is passed
//!   once. The policies take turns, a batch each, so that a backlog of one
//!   starves no other.
//! - Twice is harmless: what is erased is gone, and what is redacted or
//!   anonymised says so and is not found again. The erasure log is written in
//!   the batch's own transaction.
//! - When: every night at four.
//!
//! A row that the database refuses is passed and alerted; a policy that fails
//! is given up and alerted; the others go on. Orders,
//! payments and whatever has no rule are out of reach.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::database::Fault;
use crate::engine::{
    Completion, Job, JobContext, JobError, JobOutcome, context, with_json_results,
};
use crate::retention::erasure_log;
use crate::retention::policies::{self, Policy};

mod policy_run;
mod remaining;

use policy_run::{Checkpoint, PolicyRun};

/// The job, as [`super::ALL`] lists it.
pub(super) const JOB: Job = Job {
    name: "cleanup-old-data",
    log_type: "cron_cleanup",
    accepts: &["dry_run", "as_of", "batch_size", "limit", "continuation_of"],
    totals: &["rows_erased"],
    run: |ctx| with_json_results(run(ctx)),
};

/// How often a batch may fail, in turns, before its policy is given up.
const TRIES: u32 = 3;
/// Sample ids per policy in a dry run.
const SAMPLES: usize = 50;

/// What a run did, or in a dry run would do.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Results {
    /// Rows deleted, redacted or anonymised, of all policies.
    pub(super) rows_erased: i64,
    /// Policies that were given up, or had rows refused.
    pub(super) policies_failed: u32,
    /// Policy by policy, in the order of their turns.
    pub(super) policies: Vec<Outcome>,
    /// In a dry run, the first fifty ids of each policy.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) samples: BTreeMap<String, Vec<String>>,
}

/// What became of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Outcome {
    /// The table.
    pub(super) target: String,
    /// `delete`, `anonymise` or `redact`.
    pub(super) action: String,
    /// In days.
    pub(super) keep_days: i32,
    /// What is dated before it is past its keeping; `None` when the policy
    /// was not carried out.
    pub(super) cutoff: Option<DateTime<Utc>>,
    /// Rows erased.
    pub(super) affected: i64,
    /// Rows past the cutoff that are still there and not held: locked by
    /// others, or not reached. `None` when it took too long to count them.
    pub(super) remaining: Option<i64>,
    /// Rows past the cutoff that a legal hold keeps.
    pub(super) held: Option<i64>,
    /// Whether the policy is switched off; it is listed all the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) disabled: bool,
    /// Why it was given up, or the first row that was refused and passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// Whether `error` is of the run that this one continues.
    #[serde(skip)]
    pub(super) is_from_before: bool,
}

/// Runs the job.
async fn run(ctx: &JobContext) -> JobOutcome<Results> {
    let mut results = Results::default();
    let end = work(ctx, &mut results).await;
    JobOutcome { results, end }
}

/// Works on every policy in turn, until all of them have ended or nothing new may begin.
async fn work(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let policies = policies::all(&ctx.db).await?;
    let mut turns = line_up(ctx, &policies, results);
    while turns.iter().any(PolicyRun::is_walking) && !ctx.budget.is_spent() {
        for turn in turns.iter_mut().filter(|turn| turn.is_walking()) {
            if ctx.budget.is_spent() {
                break;
            }
            turn.take(ctx, results).await?;
        }
    }
    let stood: BTreeMap<&str, Checkpoint> = turns
        .iter()
        .map(|turn| (turn.target(), turn.stood(results)))
        .collect();
    if turns.iter().any(PolicyRun::has_begun) {
        ctx.checkpoint.save(&stood);
    }
    for turn in &turns {
        turn.count(ctx, results).await?;
    }
    tell(ctx, &turns, results).await?;
    results.none_passed().map_or(Ok(()), Err)?;
    Ok(if turns.iter().any(PolicyRun::is_walking) {
        Completion::WorkLeft
    } else {
        Completion::Done
    })
}

/// The enabled policies at the beginning of their walks. One that cannot be
/// carried out fails here, and nothing is touched.
fn line_up(ctx: &JobContext, policies: &[Policy], results: &mut Results) -> Vec<PolicyRun> {
    let mut turns = Vec::new();
    let mut before: BTreeMap<String, Checkpoint> = ctx.checkpoint.resumed().unwrap_or_default();
    for (place, policy) in policies.iter().enumerate() {
        results.policies.push(Outcome::of(policy));
        if !policy.enabled {
            continue;
        }
        match PolicyRun::of(ctx, policy, place) {
            Ok(mut turn) => {
                turn.resume(before.remove(&policy.target), results);
                results.policies[place].cutoff = Some(turn.cutoff());
                turns.push(turn);
            }
            Err(error) => results.note(place, error),
        }
    }
    turns
}

/// Alerts about policies that fail, and ends the alerts of those that do not.
/// When somebody holds such an alert, the next run will do it.
async fn tell(ctx: &JobContext, turns: &[PolicyRun], results: &Results) -> Result<(), JobError> {
    let failing = results.policies.iter();
    let (targets, errors): (Vec<String>, Vec<String>) = failing
        .filter_map(|outcome| Some((outcome.target.clone(), outcome.error.clone()?)))
        .unzip();
    let unclear = turns.iter().filter(|turn| !turn.has_passed());
    let mut open = targets.clone();
    open.extend(unclear.map(|turn| turn.target().to_owned()));
    let mut batch = ctx.fence.batch().await?;
    let told = async {
        erasure_log::alert(batch.db()?, &targets, &errors, ctx.now)
            .await
            .map_err(context("alert about policies"))?;
        erasure_log::resolve(batch.db()?, &open, ctx.now)
            .await
            .map_err(context("resolve alerts about policies"))
    };
    match told.await {
        Ok(()) => batch.commit(results).await,
        Err(stop) if matches!(stop.fault(), Fault::Data | Fault::Contended) => {
            tracing::warn!(error = %stop, "alerts about policies stay as they are until the next run");
            batch.undo().await
        }
        Err(stop) => Err(stop),
    }
}

impl Results {
    /// Notes what keeps the policy at `place` from erasing everything; what
    /// was first stays.
    fn note(&mut self, place: usize, error: String) {
        let noted = &mut self.policies[place].error;
        if noted.is_none() {
            self.policies_failed += 1;
            *noted = Some(error);
        }
    }

    /// Notes what the run before met at the policy at `place`: the row is
    /// still there, behind where this one begins.
    fn note_again(&mut self, place: usize, error: String) {
        self.policies[place].is_from_before = true;
        self.note(place, error);
    }

    /// How many more ids of this table are wanted.
    fn room_for_samples(&self, target: &str, dry_run: bool) -> i32 {
        let given = self.samples.get(target).map_or(0, Vec::len);
        let room = if dry_run {
            SAMPLES.saturating_sub(given)
        } else {
            0
        };
        room.try_into().unwrap_or_default()
    }

    /// Why the run failed, when not one enabled policy could be carried out.
    fn none_passed(&self) -> Option<JobError> {
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

impl Outcome {
    fn of(policy: &Policy) -> Self {
        Self {
            target: policy.target.clone(),
            action: policy.action.clone(),
            keep_days: policy.keep_days,
            cutoff: None,
            affected: 0,
            remaining: None,
            held: None,
            disabled: !policy.enabled,
            error: None,
            is_from_before: false,
        }
    }
}
