//! Asks Stripe about the intents of due orders, and ends those that are open.
//!
//! No lock and no transaction is held here. Every intent of an order is read
//! before any is cancelled: an order that is paid through one intent is not
//! touched through another. An order has so many calls in a run; what they said
//! is kept, and the next run goes on behind it.

use futures::{FutureExt, StreamExt};

use super::due;
use super::verdict::{DueOrder, Judged};
use crate::engine::JobContext;
use crate::shop::payment_intents::verdict::may_end;
use crate::shop::payment_intents::{self, AT_ONCE, Breaker, End, IntentReport};

/// So many calls are made about one order in a run.
const MOST_CALLS: usize = 100;
/// So many intents are read anew in each run: there is time for them at any rate.
const FEW: usize = 4;

/// The verdict on each order. Orders that Stripe could not be asked about any
/// more, because the budget was spent or the breaker tripped, are left out.
/// Those with the fewest intents come first.
pub(super) async fn judge(
    ctx: &JobContext,
    mut due: Vec<DueOrder>,
    breaker: &Breaker,
) -> Vec<Judged> {
    due.sort_by_key(|order| order.intents.len());
    let inquiries = futures::stream::iter(due)
        .map(|order| fetch_order(ctx, order, breaker))
        .buffer_unordered(AT_ONCE);
    let inquiries: Vec<Inquiry> = inquiries.filter_map(std::future::ready).collect().await;
    let health = breaker.health();
    inquiries
        .into_iter()
        .map(|mut inquiry| {
            for report in &mut inquiry.reports {
                report.distrust(health);
            }
            Judged::new(inquiry)
        })
        .collect()
}

/// What was learnt of one order.
pub(super) struct Inquiry {
    pub(super) order: DueOrder,
    pub(super) reports: Vec<IntentReport>,
    /// Whether the reports are about every intent of the order.
    pub(super) is_whole: bool,
    /// Whether there was no time for all of it.
    pub(super) was_cut: bool,
    /// Whether a run may not have the time or the calls to read and end all of them.
    is_large: bool,
    calls: usize,
}

/// What Stripe says of one order, after ending its intents where they may be;
/// `None` when there was no time, and nothing is gained.
async fn fetch_order(ctx: &JobContext, order: DueOrder, breaker: &Breaker) -> Option<Inquiry> {
    let mut inquiry = Inquiry {
        is_large: order.intents.len() > FEW,
        reports: Vec::with_capacity(order.intents.len()),
        order,
        is_whole: true,
        was_cut: false,
        calls: 0,
    };
    inquiry.read(ctx, breaker).await;
    if may_end(inquiry.reports.iter().map(|it| &it.state), inquiry.is_whole) {
        inquiry.end(ctx, breaker).await;
    }
    // What the next run would ask again is not worth a note.
    let is_lost = !inquiry.is_large && inquiry.reports.iter().all(|report| !report.tried);
    let is_left_out = inquiry.was_cut && (inquiry.calls == 0 || is_lost);
    (!is_left_out).then_some(inquiry)
}

impl Inquiry {
    /// Reads every intent; of a large order, only those that were not open a
    /// short while ago.
    async fn read(&mut self, ctx: &JobContext, breaker: &Breaker) {
        for intent in std::mem::take(&mut self.order.intents) {
            if self.is_large && intent.is_known_open {
                self.reports.push(IntentReport::known_open(intent));
                continue;
            }
            let report = match self.calls {
                MOST_CALLS => None,
                _ => payment_intents::fetch(ctx, intent, breaker).await,
            };
            let Some(report) = report else {
                self.was_cut = self.calls < MOST_CALLS;
                self.is_whole = false;
                return;
            };
            self.calls += 1;
            self.reports.push(report);
        }
    }

    /// Ends the open intents one by one, as long as each is ended indeed. One
    /// that was not read in this run is read first.
    async fn end(&mut self, ctx: &JobContext, breaker: &Breaker) {
        let order = self.order.id;
        for report in self.reports.iter_mut().filter(|it| it.state.is_open()) {
            if self.calls + 1 + usize::from(!report.was_asked) > MOST_CALLS {
                return;
            }
            if !report.was_asked {
                let Some(read) = payment_intents::fetch(ctx, report.intent.clone(), breaker).await
                else {
                    self.was_cut = true;
                    return;
                };
                self.calls += 1;
                *report = read;
            }
            if report.state.is_open() {
                let intent = report.intent.clone();
                let last_look = || due::may_still_end(ctx, order, &intent).boxed();
                match payment_intents::end(ctx, report, breaker, &last_look).await {
                    End::Tried => self.calls += 1,
                    End::Withdrawn => return,
                    End::NoTime => {
                        self.was_cut = true;
                        return;
                    }
                }
            }
            if !report.state.is_canceled() {
                return;
            }
        }
    }
}
