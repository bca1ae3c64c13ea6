//! Writes what Stripe answered into our rows.

use serde_json::json;
use sqlx::Result;
use sqlx::types::Json;
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
    let reported = reports.iter().map(
        |IntentReport {
             intent,
             state,
             tried,
         }| {
            let (reason, canceled_at, by_us) = match state {
                IntentState::Canceled { reason, at, by_us } => (reason.as_deref(), *at, *by_us),
                _ => (None, None, false),
            };
            json!({
                "id": intent.id,
                "status": state.status(),
                "error": state.error(),
                "definite": state.is_definite(),
                "tried": tried,
                "reason": reason,
                "canceled_at": canceled_at,
                "by_us": by_us,
            })
        },
    );
    sqlx::query_file_as!(
        Synced,
        "src/shop/payment_intents/sync_intents.sql",
        Json(reported.collect::<Vec<_>>()) as _,
        ctx.now,
        ctx.fence.run_id(),
        actor,
    )
    .fetch_all(db)
    .await
}
