//! Expires unpaid orders: ends their payment intents and frees their stock.
//!
//! - What: orders in `PENDING` or `REQUIRES_PAYMENT` whose `expires_at` has come.
//! - Which rows: by keyset over (`expires_at`, `id`), so that an order that
//!   cannot be expired is passed once and starves nobody; while it waits for
//!   its next attempt (`order_expirations`) it is not picked at all.
//! - Twice is harmless: Stripe is asked first, with no lock held, and then
//!   one transaction re-checks every order under its lock; a reservation is
//!   flipped once, and only what was flipped is subtracted.
//! - When: every five minutes.
//!
//! An order that Stripe calls paid or authorised is never expired. Settling
//! it is the shop's work; this job keeps it, says so once, and alerts.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use crate::database::Fault;
use crate::engine::{Completion, Job, JobContext, JobError, JobOutcome, with_json_results};
use crate::shop::payment_intents::Breaker;

mod ask;
mod rows;
mod statements;
mod verdict;

use rows::Cursor;
use verdict::Judged;

/// The job, as [`super::ALL`] lists it.
pub(super) const JOB: Job = Job {
    name: "expire-stale-orders",
    log_type: "cron_expire_orders",
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
        "orders_expired",
        "orders_paid",
        "orders_deferred",
        "payment_intents_canceled",
        "stock_released",
        "alerts_opened",
    ],
    run: |ctx| with_json_results(run(ctx)),
};

/// Orders per transaction.
const BATCH: u32 = 100;
/// How often a batch is tried while somebody else holds one of its rows.
const TRIES: u32 = 3;
/// Sample ids per action in a dry run, and errors per run.
const SAMPLES: usize = 50;

/// What a run did, or in a dry run would do.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Results {
    /// Orders now EXPIRED.
    pub(super) orders_expired: u64,
    /// Orders that Stripe calls paid or authorised; kept as they are.
    pub(super) orders_paid: u64,
    /// Orders left for later, because Stripe's word was missing or not final.
    pub(super) orders_deferred: u64,
    /// Intents that turned canceled here, also those found canceled at Stripe.
    pub(super) payment_intents_canceled: u64,
    /// Units of stock given back.
    pub(super) stock_released: i64,
    /// Alerts that are new; one that was open is only bumped.
    pub(super) alerts_opened: u64,
    /// What could not be done, and why; the first fifty.
    pub(super) errors: Vec<OrderError>,
    /// In a dry run, the first fifty ids of each action.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) samples: BTreeMap<&'static str, Vec<String>>,
}

/// An order that needs somebody to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct OrderError {
    /// The order.
    pub(super) order_id: Uuid,
    /// What went wrong.
    pub(super) error: String,
}

/// Runs the job.
async fn run(ctx: &JobContext) -> JobOutcome<Results> {
    let mut results = Results::default();
    let end = work(ctx, &mut results).await;
    JobOutcome { results, end }
}

/// Batch by batch. When Stripe denies everything, or is away, orders without
/// intents are expired all the same, and then the run is stopped.
async fn work(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let breaker = Breaker::default();
    let mut cursor = Cursor::at_the_oldest(ctx);
    if ctx.options.dry_run {
        rehearse(ctx, &mut cursor, &breaker, results).await?;
    } else {
        tidy(ctx, results).await?;
        let mut looked = 0;
        while let Some(judged) = next(ctx, &mut cursor, &breaker).await? {
            settle(ctx, &judged, &mut cursor, results).await?;
            looked += judged.len() as u64;
            ctx.looked_at(looked);
        }
    }
    breaker.check()?;
    Ok(cursor.finish())
}

/// A dry run asks Stripe about all orders first, so that the one transaction
/// it rehearses in begins after the last answer and holds no lock before.
async fn rehearse(
    ctx: &JobContext,
    cursor: &mut Cursor,
    breaker: &Breaker,
    results: &mut Results,
) -> Result<(), JobError> {
    let mut batches = Vec::new();
    while let Some(judged) = next(ctx, cursor, breaker).await? {
        batches.push(judged);
    }
    tidy(ctx, results).await?;
    for judged in batches {
        // What Stripe was asked about is worth telling.
        if ctx.budget.is_past_grace() {
            cursor.interrupted();
            break;
        }
        settle(ctx, &judged, cursor, results).await?;
    }
    Ok(())
}

/// The next batch of due orders with Stripe's word on each; `None` when none
/// is left or nothing new may begin.
async fn next(
    ctx: &JobContext,
    cursor: &mut Cursor,
    breaker: &Breaker,
) -> Result<Option<Vec<Judged>>, JobError> {
    if ctx.budget.is_spent() {
        return Ok(None);
    }
    let due = cursor.batch(ctx).await?;
    if due.is_empty() {
        return Ok(None);
    }
    let asked = due.len();
    let judged = ctx
        .fence
        .with_heartbeat(ask::judge(ctx, due, breaker))
        .await?;
    if judged.len() < asked && breaker.check().is_ok() {
        cursor.interrupted();
    }
    Ok(Some(judged))
}

/// Alerts and notes of orders that the shop has settled since are done with.
/// When somebody holds one of these rows, the next run will do it: no order
/// has to wait for that.
async fn tidy(ctx: &JobContext, results: &Results) -> Result<(), JobError> {
    let mut batch = ctx.fence.batch().await?;
    match rows::forget_settled(&mut batch, ctx.now).await {
        Ok(()) => batch.commit(results).await,
        Err(stop) if stop.is_about_rows() => {
            tracing::warn!(error = %stop, "alerts of settled orders stay open until the next run");
            batch.undo().await
        }
        Err(stop) => Err(stop),
    }
}

/// Commits what was judged. When the database refuses because of one order,
/// each is done on its own, so that one bad order spoils no other.
/// Orders that there is no time for any more are left to the next run.
async fn settle(
    ctx: &JobContext,
    judged: &[Judged],
    cursor: &mut Cursor,
    results: &mut Results,
) -> Result<(), JobError> {
    if judged.is_empty() {
        return Ok(());
    }
    match commit_patiently(ctx, judged, results).await {
        Err(stop) if stop.is_about_rows() => {}
        done => return done,
    }
    for one in judged {
        if ctx.budget.is_spent() {
            cursor.interrupted();
            break;
        }
        settle_alone(ctx, one, results).await?;
    }
    Ok(())
}

/// Records an order that the database refuses to expire, with what Stripe
/// did, because it happened; when that is refused too, without it. A held row
/// is no fault: the order comes up again.
async fn settle_alone(
    ctx: &JobContext,
    one: &Judged,
    results: &mut Results,
) -> Result<(), JobError> {
    let refused = match commit(ctx, std::slice::from_ref(one), results).await {
        Err(stop) if stop.is_about_rows() => one.refused(&stop),
        done => return done,
    };
    for note in [refused.clone(), refused.without_stripes_word()] {
        match commit(ctx, &[note], results).await {
            Err(stop) if stop.is_about_rows() => {}
            done => return done,
        }
    }
    if results.errors.len() < SAMPLES {
        let error = refused.error.unwrap_or_default();
        results.errors.push(OrderError {
            order_id: one.order_id,
            error,
        });
    }
    Ok(())
}

/// Tries again while somebody else holds a row.
async fn commit_patiently(
    ctx: &JobContext,
    judged: &[Judged],
    results: &mut Results,
) -> Result<(), JobError> {
    let mut tries = 1;
    loop {
        match commit(ctx, judged, results).await {
            Err(stop)
                if stop.fault() == Fault::Contended && tries < TRIES && !ctx.budget.is_spent() =>
            {
                tries += 1;
            }
            done => return done,
        }
    }
}

/// One transaction for all of `judged`; `results` count it once it is kept.
async fn commit(
    ctx: &JobContext,
    judged: &[Judged],
    results: &mut Results,
) -> Result<(), JobError> {
    let mut batch = ctx.fence.batch().await?;
    match rows::apply(ctx, &mut batch, judged).await {
        Ok(applied) => {
            let mut sum = results.clone();
            applied.add_to(&mut sum, ctx.options.dry_run);
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
