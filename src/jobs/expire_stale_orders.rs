//! Expires unpaid orders: ends their payment intents and frees their stock.
//!
//! - What: orders in `PENDING` or `REQUIRES_PAYMENT` whose `expires_at` has come.
//! - Which rows: by keyset over (`expires_at`, `id`), so that an order that
//!   cannot be expired is passed once and delays no other; while it waits for
//!   its next attempt (`order_expirations`) it is picked only when its row or one of
//!   its intents has changed.
//! - Twice is harmless: Stripe is asked first, with no lock held, and then
//!   one transaction re-checks every order under its lock; a reservation is
//!   flipped once, and only what was flipped is subtracted.
//! - When: every five minutes.
//!
//! Only Stripe's word ends an order: every intent is asked about that our own
//! sync has not found canceled, and right before each cancel our rows are looked
//! at once more. An order that Stripe calls paid or authorised, or that is paid
//! in part, is never expired. Settling it is the shop's work; this job keeps it
//! and alerts. When Stripe denies every call or cannot be reached, orders
//! without intents are expired all the same, and then the run fails.

use std::iter;

use serde::Serialize;
use uuid::Uuid;

use crate::database::Unprepared;
use crate::engine::batch::BatchWork;
use crate::engine::results::{self, Samples};
use crate::engine::{Batch, Job, JobContext, JobError, context, with_json_results};
use crate::foreign_text::ForeignText;
use crate::shop::payment_intents::Breaker;
use crate::shop::payment_intents::health::{self, Held};
use crate::shop::sweep::{self, Due, Key, Sweep};

mod alerts;
mod due;
mod fetch;
mod rows;
mod verdict;

use verdict::{DueOrder, Judged};

/// The job, as [`super::ALL`] lists it.
pub(super) const JOB: Job = Job {
    name: "expire-stale-orders",
    log_type: "cron_expire_orders",
    accepts: sweep::ACCEPTS,
    totals: &[
        "orders_expired",
        "orders_paid",
        "orders_deferred",
        "payment_intents_canceled",
        "stock_released",
        "alerts_opened",
    ],
    run: |ctx| {
        with_json_results(ctx, |ctx, results| {
            let sweep = Expiry::default();
            Box::pin(sweep::run(ctx, sweep, Breaker::default(), results))
        })
    },
};

/// Who the audit trail says did it.
const ACTOR: &str = "system:expire-stale-orders";

/// What a run did, or in a dry run would do.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Results {
    /// Orders now EXPIRED.
    pub(super) orders_expired: usize,
    /// Orders that Stripe calls paid or authorised; kept as they are.
    pub(super) orders_paid: usize,
    /// Orders left for later, because Stripe's answer was missing or not final,
    /// or another transaction held a row.
    pub(super) orders_deferred: usize,
    /// Intents that turned canceled here, also those found canceled at Stripe.
    pub(super) payment_intents_canceled: usize,
    /// Units of stock given back.
    pub(super) stock_released: i64,
    /// Alerts that are new; one that was open is only repeated.
    pub(super) alerts_opened: usize,
    /// What could not be done, and why; the first fifty.
    pub(super) errors: Vec<OrderError>,
    /// In a dry run, the first fifty ids of each action.
    #[serde(skip_serializing_if = "Samples::is_empty")]
    samples: Samples,
}

/// An order that an operator has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct OrderError {
    /// The order.
    pub(super) order_id: Uuid,
    /// What went wrong.
    pub(super) error: ForeignText,
}

#[derive(Default)]
struct Expiry {
    alerts: Held,
}

impl Sweep for Expiry {
    type Due = DueOrder;
    const BATCH: u32 = 100;
    /// Reading costs a round trip, and every batch is judged anew under its
    /// locks.
    const BATCHES_AHEAD: i64 = 10;
    const GOES_ON_WITHOUT_STRIPE: bool = true;

    async fn pick(
        &self,
        ctx: &JobContext,
        after: Option<Key>,
        size: i64,
    ) -> Result<Due<DueOrder>, JobError> {
        let mut tx = ctx.reading().await?;
        let rows = due::read(Unprepared(&mut tx), ctx, after, size)
            .await
            .map_err(context("pick stale orders"))?;
        let last = rows.last().map(|row| (row.expires_at, row.id));
        Ok((due::by_order(&rows), last))
    }

    async fn fetch(
        &self,
        ctx: &JobContext,
        due: Vec<DueOrder>,
        breaker: &Breaker,
    ) -> Result<Vec<Judged>, JobError> {
        Ok(fetch::judge(ctx, due, breaker).await)
    }

    fn is_whole(order: &Judged) -> bool {
        !order.was_cut
    }

    async fn finish(
        &self,
        ctx: &JobContext,
        batch: &mut Batch<'_>,
        breaker: &Breaker,
        sum: &mut Results,
    ) -> Result<(), JobError> {
        sum.alerts_opened += health::report(batch, &self.alerts, breaker, ctx.now).await?;
        Ok(())
    }

    async fn settled_alerts(
        &self,
        ctx: &JobContext,
        batch: &mut Batch<'_>,
        sum: &mut Results,
    ) -> Result<Vec<Uuid>, JobError> {
        let paid = alerts::ended_with_money(batch.db()?)
            .await
            .map_err(context("look for money of orders that have ended"))?;
        sum.alerts_opened += health::tell_of(batch, iter::empty(), &paid, ctx.now).await?;
        rows::drop_settled(batch.db()?)
            .await
            .map_err(context("delete the attempts of settled orders"))?;
        alerts::of_settled_orders(batch.db()?)
            .await
            .map_err(context("look for alerts of settled orders"))
    }
}

impl BatchWork for Expiry {
    type Item = Judged;
    type Results = Results;

    async fn commit(
        &self,
        ctx: &JobContext,
        judged: &[Judged],
        results: &mut Results,
    ) -> Result<(), JobError> {
        let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
            rows::apply(ctx, batch, judged, sum).await
        };
        self.alerts.add(ctx.fence.write(results, write).await?);
        Ok(())
    }

    /// Records the order with what Stripe did, because it happened; when that
    /// is refused too, without it. A row that another transaction holds is no
    /// fault of the order: it comes up again.
    async fn refused(
        &self,
        ctx: &JobContext,
        one: &Judged,
        error: JobError,
        results: &mut Results,
    ) -> Result<(), JobError> {
        let with_reports = one.refused(&error);
        let without = Judged {
            reports: Vec::new(),
            ..with_reports.clone()
        };
        for record in [with_reports, without] {
            match self.commit(ctx, &[record], results).await {
                Err(error) if error.may_pass_without_it() => {}
                done => return done,
            }
        }
        let error = OrderError {
            order_id: one.order_id,
            error: error.words(),
        };
        results.orders_deferred += 1;
        results::name(&mut results.errors, [error]);
        Ok(())
    }
}
