//! Ends payment intents that nobody will settle any more.
//!
//! - What: intents that are open here, and a week old or of an order that has
//!   ended (`EXPIRED`, `CANCELED`, `REFUNDED`); never one of an order that can
//!   still be paid.
//! - Which rows: by keyset over (`updated_at`, `id`), those that were let lie
//!   longest first. Whatever is looked at goes to the end of that line, so
//!   that one that always fails starves nobody, in this run or the next.
//! - Twice is harmless: Stripe's word is fetched before anything is decided,
//!   a cancel has its idempotency key, a final status is never overwritten,
//!   and for an hour Stripe is not asked again what it has answered.
//! - When: in the night to Sunday, at three o'clock.
//!
//! What waits for the customer is canceled. What is succeeded, canceled or
//! unknown at Stripe becomes so here. What a bank is at is left alone, and
//! money that is held for us is given back only when its order has ended.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::database::Fault;
use crate::engine::{Completion, Job, JobContext, JobError, JobOutcome, with_json_results};
use crate::shop::payment_intents::{Breaker, Told, Word};

mod ask;
mod rows;
mod trouble;

use rows::Cursor;

/// The job, as [`super::ALL`] lists it.
pub(super) const JOB: Job = Job {
    name: "cleanup-stale-payment-intents",
    log_type: "cron_cleanup_payment_intents",
    accepts: &[
        "dry_run",
        "as_of",
        "batch_size",
        "limit",
        "shard",
        "fan_out",
        "continuation_of",
    ],
    totals: &[
        "payment_intents_canceled",
        "payments_updated",
        "left_alone",
        "alerts_opened",
    ],
    run: |ctx| with_json_results(run(ctx)),
};

/// Intents per transaction.
const BATCH: u32 = 50;
/// How often a batch is tried while somebody else holds one of its rows.
const TRIES: u32 = 3;
/// Sample ids per action in a dry run, and errors per run.
const SAMPLES: usize = 50;

/// What a run did, or in a dry run would do. Each intent it looked at counts
/// once.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Results {
    /// Intents that this run canceled at Stripe, and so here.
    pub(super) payment_intents_canceled: u64,
    /// Intents whose status here became Stripe's word without our cancel.
    pub(super) payments_updated: u64,
    /// Intents that stay as they are.
    pub(super) left_alone: u64,
    /// Alerts that are new; one that was open is only bumped.
    pub(super) alerts_opened: u64,
    /// What could not be done, and why; the first fifty.
    pub(super) errors: Vec<IntentError>,
    /// In a dry run, the first fifty Stripe ids of each action.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) samples: BTreeMap<&'static str, Vec<String>>,
}

/// An intent of which Stripe gave no usable word, or whose row was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct IntentError {
    /// Stripe's id, `pi_…`.
    pub(super) payment_intent_id: String,
    /// What went wrong.
    pub(super) error: String,
}

/// Runs the job.
async fn run(ctx: &JobContext) -> JobOutcome<Results> {
    let mut results = Results::default();
    let end = work(ctx, &mut results).await;
    JobOutcome { results, end }
}

/// Batch by batch, until Stripe denies everything, or is away.
async fn work(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let breaker = Breaker::that_can_be_proven();
    let mut cursor = Cursor::at_the_longest_untouched(ctx);
    if ctx.options.dry_run {
        rehearse(ctx, &mut cursor, &breaker, results).await?;
    } else {
        tidy(ctx, results).await?;
        let mut looked = 0;
        while let Some(told) = next(ctx, &mut cursor, &breaker).await? {
            settle(ctx, &told, &mut cursor, results).await?;
            looked += told.len() as u64;
            ctx.looked_at(looked);
        }
    }
    breaker.check()?;
    Ok(cursor.finish())
}

/// A dry run asks Stripe about all intents first, so that the one transaction
/// it rehearses in begins after the last answer and holds no lock before.
async fn rehearse(
    ctx: &JobContext,
    cursor: &mut Cursor,
    breaker: &Breaker,
    results: &mut Results,
) -> Result<(), JobError> {
    let mut batches = Vec::new();
    while let Some(told) = next(ctx, cursor, breaker).await? {
        batches.push(told);
    }
    tidy(ctx, results).await?;
    for told in batches {
        // What Stripe was asked about is worth telling.
        if ctx.budget.is_past_grace() {
            cursor.interrupted();
            break;
        }
        settle(ctx, &told, cursor, results).await?;
    }
    Ok(())
}

/// The next batch of stale intents with Stripe's word on each; `None` when
/// none is left or nothing new may begin.
async fn next(
    ctx: &JobContext,
    cursor: &mut Cursor,
    breaker: &Breaker,
) -> Result<Option<Vec<Told>>, JobError> {
    if ctx.budget.is_spent() || breaker.check().is_err() {
        return Ok(None);
    }
    let stale = cursor.batch(ctx).await?;
    if stale.is_empty() {
        return Ok(None);
    }
    let picked = stale.len();
    let told = ctx
        .fence
        .with_heartbeat(ask::judge(ctx, stale, breaker))
        .await??;
    if told.len() < picked {
        cursor.interrupted();
    }
    Ok(Some(told))
}

/// Alerts of what was settled since are done with. When somebody holds one of
/// these rows, the next run will do it.
async fn tidy(ctx: &JobContext, results: &Results) -> Result<(), JobError> {
    let mut batch = ctx.fence.batch().await?;
    match trouble::forget_settled(&mut batch, ctx.now).await {
        Ok(()) => batch.commit(results).await,
        Err(stop) if stop.is_about_rows() => {
            tracing::warn!(error = %stop, "alerts of what was settled stay open until the next run");
            batch.undo().await
        }
        Err(stop) => Err(stop),
    }
}

/// Commits what was told. When the database refuses because of one row, each
/// is written on its own, so that one bad row spoils no other. Rows that
/// there is no time for any more are left to the next run.
async fn settle(
    ctx: &JobContext,
    told: &[Told],
    cursor: &mut Cursor,
    results: &mut Results,
) -> Result<(), JobError> {
    if told.is_empty() {
        return Ok(());
    }
    match commit_patiently(ctx, told, results).await {
        Err(stop) if stop.is_about_rows() => {}
        done => return done,
    }
    for one in told {
        if ctx.budget.is_spent() {
            cursor.interrupted();
            break;
        }
        settle_alone(ctx, one, results).await?;
    }
    Ok(())
}

/// Notes at the row itself that the database refuses what Stripe said, so
/// that it goes to the end of the line. A held row is no fault of its own: it
/// comes up again.
async fn settle_alone(ctx: &JobContext, one: &Told, results: &mut Results) -> Result<(), JobError> {
    let refused = match commit(ctx, std::slice::from_ref(one), results).await {
        Err(stop) if stop.is_about_rows() => stop,
        done => return done,
    };
    if refused.fault() == Fault::Data {
        let note = Told {
            word: Word::Unclear(refused.to_string()),
            ..one.clone()
        };
        match commit(ctx, &[note], results).await {
            Err(stop) if stop.is_about_rows() => {}
            done => return done,
        }
    }
    results.add_error(&one.intent.stripe_id, &refused.to_string());
    Ok(())
}

/// Tries again while somebody else holds a row.
async fn commit_patiently(
    ctx: &JobContext,
    told: &[Told],
    results: &mut Results,
) -> Result<(), JobError> {
    let mut tries = 1;
    loop {
        match commit(ctx, told, results).await {
            Err(stop)
                if stop.fault() == Fault::Contended && tries < TRIES && !ctx.budget.is_spent() =>
            {
                tries += 1;
            }
            done => return done,
        }
    }
}

/// One transaction for all of `told`; `results` count it once it is kept.
async fn commit(ctx: &JobContext, told: &[Told], results: &mut Results) -> Result<(), JobError> {
    let mut batch = ctx.fence.batch().await?;
    let mut sum = results.clone();
    match rows::apply(ctx, &mut batch, told, &mut sum).await {
        Ok(()) => {
            batch.commit(&sum).await?;
            *results = sum;
            Ok(())
        }
        Err(stop) => {
            batch.undo().await?;
            Err(stop)
        }
    }
}

impl Results {
    /// Adds an error, while there is room.
    fn add_error(&mut self, payment_intent_id: &str, error: &str) {
        if self.errors.len() < SAMPLES {
            self.errors.push(IntentError {
                payment_intent_id: payment_intent_id.to_owned(),
                error: error.to_owned(),
            });
        }
    }
}
