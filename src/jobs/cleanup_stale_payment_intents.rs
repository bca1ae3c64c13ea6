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

use super::intents::{Breaker, Told, Word};
use super::{Cx, Finish, Job, Stop, Worked, report};
use crate::database::Fault;

mod ask;
mod rows;
mod trouble;

use rows::Cursor;

/// The job, as [`super::ALL`] lists it.
pub const JOB: Job = Job {
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
    run: |cx| report(run(cx)),
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
pub struct Results {
    /// Intents that this run canceled at Stripe, and so here.
    pub payment_intents_canceled: u64,
    /// Intents whose status here became Stripe's word without our cancel.
    pub payments_updated: u64,
    /// Intents that stay as they are.
    pub left_alone: u64,
    /// Alerts that are new; one that was open is only bumped.
    pub alerts_opened: u64,
    /// What could not be done, and why; the first fifty.
    pub errors: Vec<IntentError>,
    /// In a dry run, the first fifty Stripe ids of each action.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub samples: BTreeMap<&'static str, Vec<String>>,
}

/// An intent of which Stripe gave no usable word, or whose row was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IntentError {
    /// Stripe's id, `pi_…`.
    pub payment_intent_id: String,
    /// What went wrong.
    pub error: String,
}

/// Runs the job.
pub async fn run(cx: &Cx) -> Worked<Results> {
    let mut results = Results::default();
    let end = work(cx, &mut results).await;
    Worked { results, end }
}

/// Batch by batch, until Stripe denies everything, or is away.
async fn work(cx: &Cx, results: &mut Results) -> Result<Finish, Stop> {
    let breaker = Breaker::default();
    let mut cursor = Cursor::at_the_longest_untouched(cx);
    if cx.options.dry_run {
        rehearse(cx, &mut cursor, &breaker, results).await?;
    } else {
        tidy(cx, results).await?;
        let mut looked = 0;
        while let Some(told) = next(cx, &mut cursor, &breaker).await? {
            settle(cx, &told, &mut cursor, results).await?;
            looked += told.len() as u64;
            cx.looked_at(looked);
        }
    }
    breaker.check()?;
    Ok(cursor.finish())
}

/// A dry run asks Stripe about all intents first, so that the one transaction
/// it rehearses in begins after the last answer and holds no lock before.
async fn rehearse(
    cx: &Cx,
    cursor: &mut Cursor,
    breaker: &Breaker,
    results: &mut Results,
) -> Result<(), Stop> {
    let mut batches = Vec::new();
    while let Some(told) = next(cx, cursor, breaker).await? {
        batches.push(told);
    }
    tidy(cx, results).await?;
    for told in batches {
        // What Stripe was asked about is worth telling.
        if cx.budget.is_overdrawn() {
            cursor.interrupted();
            break;
        }
        settle(cx, &told, cursor, results).await?;
    }
    Ok(())
}

/// The next batch of stale intents with Stripe's word on each; `None` when
/// none is left or nothing new may begin.
async fn next(cx: &Cx, cursor: &mut Cursor, breaker: &Breaker) -> Result<Option<Vec<Told>>, Stop> {
    if cx.budget.is_spent() || breaker.check().is_err() {
        return Ok(None);
    }
    let stale = cursor.batch(cx).await?;
    if stale.is_empty() {
        return Ok(None);
    }
    let picked = stale.len();
    let told = cx.fence.beating(ask::judge(cx, stale, breaker)).await??;
    if told.len() < picked {
        cursor.interrupted();
    }
    Ok(Some(told))
}

/// Alerts of what was settled since are done with. When somebody holds one of
/// these rows, the next run will do it.
async fn tidy(cx: &Cx, results: &Results) -> Result<(), Stop> {
    let mut batch = cx.fence.batch().await?;
    match trouble::forget_settled(&mut batch, cx.now).await {
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
    cx: &Cx,
    told: &[Told],
    cursor: &mut Cursor,
    results: &mut Results,
) -> Result<(), Stop> {
    if told.is_empty() {
        return Ok(());
    }
    match commit_patiently(cx, told, results).await {
        Err(stop) if stop.is_about_rows() => {}
        done => return done,
    }
    for one in told {
        if cx.budget.is_spent() {
            cursor.interrupted();
            break;
        }
        settle_alone(cx, one, results).await?;
    }
    Ok(())
}

/// Notes at the row itself that the database refuses what Stripe said, so
/// that it goes to the end of the line. A held row is no fault of its own: it
/// comes up again.
async fn settle_alone(cx: &Cx, one: &Told, results: &mut Results) -> Result<(), Stop> {
    let refused = match commit(cx, std::slice::from_ref(one), results).await {
        Err(stop) if stop.is_about_rows() => stop,
        done => return done,
    };
    if refused.fault() == Fault::Data {
        let note = Told {
            word: Word::Unclear(refused.to_string()),
            ..one.clone()
        };
        match commit(cx, &[note], results).await {
            Err(stop) if stop.is_about_rows() => {}
            done => return done,
        }
    }
    results.add_error(&one.intent.stripe_id, &refused.to_string());
    Ok(())
}

/// Tries again while somebody else holds a row.
async fn commit_patiently(cx: &Cx, told: &[Told], results: &mut Results) -> Result<(), Stop> {
    let mut tries = 1;
    loop {
        match commit(cx, told, results).await {
            Err(stop)
                if stop.fault() == Fault::Contended && tries < TRIES && !cx.budget.is_spent() =>
            {
                tries += 1;
            }
            done => return done,
        }
    }
}

/// One transaction for all of `told`; `results` count it once it is kept.
async fn commit(cx: &Cx, told: &[Told], results: &mut Results) -> Result<(), Stop> {
    let mut batch = cx.fence.batch().await?;
    let mut sum = results.clone();
    match rows::apply(cx, &mut batch, told, &mut sum).await {
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
