//! Erases expired rows, as `retention_policies` says.
//!
//! - What: rows of twelve tables, deleted, redacted or, members, anonymised;
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
//! A row that the database refuses is skipped and alerted; a policy that fails
//! is given up and alerted; the others go on. Orders, payments and every table
//! without a target ([`crate::retention::target`]) are out of reach.

use std::collections::BTreeMap;

use crate::engine::{Batch, Completion, Job, JobContext, JobError, context, with_json_results};
use crate::retention::erasure_log;
use crate::retention::policies::{self, Policy};

mod batch;
mod policy_run;
mod results;

use policy_run::{Checkpoint, PolicyRun};
use results::Results;

/// The job, as [`super::ALL`] lists it.
pub(super) const JOB: Job = Job {
    name: "cleanup-old-data",
    log_type: "cron_cleanup",
    accepts: &["dry_run", "as_of", "batch_size", "limit", "continuation_of"],
    totals: &["rows_erased"],
    run: |ctx| with_json_results(ctx, |ctx, results| Box::pin(work(ctx, results))),
};

/// Works on the policies in turn, until all of them have ended or nothing new may begin.
async fn work(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let policies = policies::all(&ctx.db).await?;
    let mut runs = begin(ctx, &policies, results);
    while runs.iter().any(PolicyRun::is_walking) && !ctx.budget.is_spent() {
        for run in runs.iter_mut().filter(|run| run.is_walking()) {
            if ctx.budget.is_spent() {
                break;
            }
            run.erase_batch(ctx, results).await?;
        }
    }
    if runs.iter().any(|run| run.has_begun) {
        let checkpoints = runs
            .iter()
            .map(|run| (run.table(), run.checkpoint(results)));
        ctx.checkpoint
            .save(&checkpoints.collect::<BTreeMap<_, _>>());
    }
    for run in &runs {
        run.count_remaining(ctx, results).await?;
    }
    update_alerts(ctx, &runs, results).await?;
    results.none_passed().map_or(Ok(()), Err)?;
    let is_done = !runs.iter().any(PolicyRun::is_walking);
    Ok(Completion::done_if(is_done))
}

/// The enabled policies, each where its walk begins or goes on. One that
/// cannot be carried out fails here, and nothing is touched.
fn begin(ctx: &JobContext, policies: &[Policy], results: &mut Results) -> Vec<PolicyRun> {
    let mut runs = Vec::new();
    let mut before: BTreeMap<String, Checkpoint> = ctx.checkpoint.resumed().unwrap_or_default();
    for (index, policy) in policies.iter().enumerate() {
        results.list(policy);
        if !policy.enabled {
            continue;
        }
        match PolicyRun::new(ctx, policy, index, before.remove(&policy.target)) {
            Ok(run) => {
                results.begin(index, run.cutoff, run.error_before());
                runs.push(run);
            }
            Err(error) => results.note(index, error),
        }
    }
    runs
}

/// Opens alerts for the policies that fail, and resolves those of the policies
/// that do not. While another transaction holds such an alert, this is left to
/// the next run.
async fn update_alerts(
    ctx: &JobContext,
    runs: &[PolicyRun],
    results: &mut Results,
) -> Result<(), JobError> {
    let failing = results.policies.iter();
    let failing: Vec<(String, String)> = failing
        .filter_map(|outcome| Some((outcome.target.clone(), outcome.error.clone()?)))
        .collect();
    let unclear = runs.iter().filter(|run| !run.has_passed());
    let unclear = unclear.map(|run| run.table().to_owned());
    let targets = failing.iter().map(|(target, _)| target.clone());
    let open: Vec<String> = targets.chain(unclear).collect();
    let update = async |batch: &mut Batch<'_>, _: &mut Results| {
        erasure_log::alert(batch.db()?, &failing, ctx.now)
            .await
            .map_err(context("alert about policies"))?;
        erasure_log::resolve(batch.db()?, &open, ctx.now)
            .await
            .map_err(context("resolve alerts about policies"))
    };
    match ctx.fence.write(results, update).await {
        Err(error) if error.is_about_rows() => {
            tracing::warn!(%error, "Failed to update alerts about policies; leaving them to the next run");
            Ok(())
        }
        done => done,
    }
}
