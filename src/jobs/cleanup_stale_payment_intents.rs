//! Ends payment intents that nothing will settle any more.
//!
//! - What: intents that our own sync has not settled, and that are a week old
//!   or of an order that has ended (`EXPIRED`, `CANCELED`, `REFUNDED`); never
//!   one of an order that can still be paid.
//! - Which rows: by keyset over (`updated_at`, `id`), the longest untouched
//!   first. Whatever is looked at goes to the end of that line, so that one
//!   that always fails delays no other, in this run or the next.
//! - Twice is harmless: Stripe is asked before anything is decided, a cancel
//!   has its idempotency key and a last look at our rows right before it, and
//!   for an hour Stripe is not asked again what it has answered.
//! - When: in the night to Sunday, at three o'clock.
//!
//! What waits for the customer is canceled. What is succeeded, canceled or
//! unknown at Stripe becomes so here. What a bank is processing is left alone,
//! and so is money that is partly in; money that is held for us is given back
//! only when its order has ended. When Stripe denies every call or cannot be
//! reached, the run stops.

use serde::Serialize;
use uuid::Uuid;

use crate::database::{Fault, Unprepared};
use crate::engine::batch::BatchWork;
use crate::engine::results::{self, Samples};
use crate::engine::{Batch, Job, JobContext, JobError, context, with_json_results};
use crate::foreign_text::ForeignText;
use crate::shop::payment_intents::health::{self, Held};
use crate::shop::payment_intents::{Breaker, IntentReport, IntentState};
use crate::shop::sweep::{self, Due, Key, Sweep};

mod alerts;
mod fetch;
mod rows;

use rows::StaleRow;

/// The job, as [`super::ALL`] lists it.
pub(super) const JOB: Job = Job {
    name: "cleanup-stale-payment-intents",
    log_type: "cron_cleanup_payment_intents",
    accepts: sweep::ACCEPTS,
    totals: &[
        "payment_intents_canceled",
        "payments_updated",
        "left_alone",
        "alerts_opened",
    ],
    run: |ctx| {
        with_json_results(ctx, |ctx, results| {
            Box::pin(sweep::run(ctx, CleanUp, Breaker::default(), results))
        })
    },
};

/// What a run did, or in a dry run would do. Each intent it looked at counts
/// once.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Results {
    /// Intents that this run canceled at Stripe, and so here.
    pub(super) payment_intents_canceled: usize,
    /// Intents whose status here became Stripe's without our cancel.
    pub(super) payments_updated: usize,
    /// Intents that stay as they are.
    pub(super) left_alone: usize,
    /// Alerts that are new; one that was open is only repeated.
    pub(super) alerts_opened: usize,
    /// Intents that something could not be done about.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) failed: usize,
    /// What could not be done, and why; the first fifty.
    pub(super) errors: Vec<IntentError>,
    /// In a dry run, the first fifty Stripe ids of each action.
    #[serde(skip_serializing_if = "Samples::is_empty")]
    samples: Samples,
}

/// An intent without a usable answer of Stripe, or whose row was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct IntentError {
    /// Stripe's id, `pi_…`, or that of a session without an intent, `cs_…`.
    pub(super) payment_intent_id: String,
    /// What went wrong.
    pub(super) error: ForeignText,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

struct CleanUp;

impl Sweep for CleanUp {
    type Due = StaleRow;
    const BATCH: u32 = 50;
    const BATCHES_AHEAD: i64 = 1;
    const GOES_ON_WITHOUT_STRIPE: bool = false;

    async fn pick(
        &self,
        ctx: &JobContext,
        after: Option<Key>,
        size: i64,
    ) -> Result<Due<StaleRow>, JobError> {
        let mut tx = ctx.reading().await?;
        let rows = rows::stale(Unprepared(&mut tx), ctx, after, None, size)
            .await
            .map_err(context("pick stale intents"))?;
        let last = rows.last().map(|row| (row.updated_at, row.id));
        Ok((rows.into(), last))
    }

    async fn fetch(
        &self,
        ctx: &JobContext,
        due: Vec<StaleRow>,
        breaker: &Breaker,
    ) -> Result<Vec<IntentReport>, JobError> {
        Ok(fetch::end_stale(ctx, due, breaker).await)
    }

    async fn finish(
        &self,
        ctx: &JobContext,
        batch: &mut Batch<'_>,
        breaker: &Breaker,
        sum: &mut Results,
    ) -> Result<(), JobError> {
        sum.alerts_opened += health::report(batch, &Held::default(), breaker, ctx.now).await?;
        Ok(())
    }

    async fn settled_alerts(
        &self,
        _: &JobContext,
        batch: &mut Batch<'_>,
        _: &mut Results,
    ) -> Result<Vec<Uuid>, JobError> {
        alerts::settled(batch.db()?)
            .await
            .map_err(context("look for alerts of what was settled"))
    }
}

impl BatchWork for CleanUp {
    type Item = IntentReport;
    type Results = Results;

    async fn commit(
        &self,
        ctx: &JobContext,
        reports: &[IntentReport],
        results: &mut Results,
    ) -> Result<(), JobError> {
        let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
            rows::apply(ctx, batch, reports, sum).await
        };
        ctx.fence.write(results, write).await
    }

    /// Notes at the row itself that the database refuses what Stripe answered,
    /// so that it goes to the end of the line. A row that another transaction
    /// holds is no fault of its own: it comes up again.
    async fn refused(
        &self,
        ctx: &JobContext,
        report: &IntentReport,
        error: JobError,
        results: &mut Results,
    ) -> Result<(), JobError> {
        if error.fault() == Fault::Data {
            let note = IntentReport {
                state: IntentState::Unclear(error.words()),
                ..report.clone()
            };
            match self.commit(ctx, &[note], results).await {
                Err(error) if error.may_pass_without_it() => {}
                done => return done,
            }
        }
        results.add_error(report, &error.words());
        Ok(())
    }
}

impl Results {
    fn add_error(&mut self, report: &IntentReport, error: &ForeignText) {
        let error = IntentError {
            payment_intent_id: report.intent.name().to_owned(),
            error: error.clone(),
        };
        self.failed += 1;
        results::name(&mut self.errors, [error]);
    }
}
