//! Writes what Stripe answered into our rows.

use chrono::{DateTime, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::{IntentReport, IntentState};
use crate::database::Unprepared;
use crate::engine::JobContext;

/// A row after Stripe's answer was written.
#[derive(Debug, Clone)]
pub struct Synced {
    /// The id of our row.
    pub id: Uuid,
    /// Stripe's id, `pi_…`.
    pub stripe_id: String,
    /// Its order, if it has one.
    pub order_id: Option<Uuid>,
    /// Its status before.
    pub old_status: String,
    /// Its status now.
    pub status: String,
}

impl Synced {
    /// Whether this very write changed the status.
    #[must_use]
    pub fn has_turned(&self) -> bool {
        self.status != self.old_status
    }

    /// The order that this very write showed to be paid.
    #[must_use]
    pub fn paid_order(&self) -> Option<Uuid> {
        self.order_id
            .filter(|_| self.has_turned() && self.status == "succeeded")
    }
}

/// Writes what Stripe answered, in the name of `actor`; answers the rows that
/// were written. A row that was brought to an end meanwhile is not: a final
/// status is never overwritten by an older answer. Rows are locked in id
/// order, and a cancellation is noted once, for the row that really turned.
///
/// `last_synced_at` moves only for a definite answer; a failure leaves the
/// status as it was, and sets `last_error`, `cancel_attempts` and
/// `updated_at`.
///
/// # Errors
/// When the database refuses.
pub async fn sync(
    db: Unprepared<'_>,
    reports: &[&IntentReport],
    ctx: &JobContext,
    actor: &str,
) -> Result<Vec<Synced>> {
    let text = |read: fn(&IntentState) -> Option<&str>| -> Vec<Option<String>> {
        let read = |report: &&IntentReport| read(&report.state).map(str::to_owned);
        reports.iter().map(read).collect()
    };
    let flag = |read: fn(&IntentReport) -> bool| -> Vec<bool> {
        reports.iter().map(|it| read(it)).collect()
    };
    let ids: Vec<Uuid> = reports.iter().map(|report| report.intent.id).collect();
    let canceled_at: Vec<Option<DateTime<Utc>>> =
        reports.iter().map(|it| canceled_at(&it.state)).collect();
    sqlx::query_file_as!(
        Synced,
        "src/shop/payment_intents/sync_intents.sql",
        &ids,
        &text(IntentState::status) as &[Option<String>],
        &text(IntentState::error) as &[Option<String>],
        &flag(|report| report.state.is_definite()),
        &flag(|report| report.tried),
        &text(reason) as &[Option<String>],
        &canceled_at as &[Option<DateTime<Utc>>],
        &flag(|report| matches!(report.state, IntentState::Canceled { by_us: true, .. })),
        ctx.now,
        ctx.fence.run_id(),
        actor,
    )
    .fetch_all(db)
    .await
}

fn reason(state: &IntentState) -> Option<&str> {
    match state {
        IntentState::Canceled { reason, .. } => reason.as_deref(),
        _ => None,
    }
}

fn canceled_at(state: &IntentState) -> Option<DateTime<Utc>> {
    match state {
        IntentState::Canceled { at, .. } => *at,
        _ => None,
    }
}
