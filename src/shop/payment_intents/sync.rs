//! Writes what Stripe answered into our rows.

use serde_json::{Value, json};
use sqlx::Result;
use sqlx::types::Json;
use uuid::Uuid;

use super::{IntentReport, IntentState};
use crate::alerts::Alert;
use crate::alerts::kinds::INTENT_CORRECTED;
use crate::database::Unprepared;
use crate::engine::JobContext;

/// A row after Stripe's answer was written.
#[derive(Debug, Clone)]
pub struct Synced {
    /// The id of our row.
    pub id: Uuid,
    /// Stripe's id, `pi_…` or `cs_…`.
    pub stripe_id: String,
    /// Its order, if it has one.
    pub order_id: Option<Uuid>,
    /// Its status before.
    pub old_status: String,
    /// Its status now.
    pub status: String,
    /// Whether this very write changed it, or had to cancel what was canceled here.
    pub has_turned: bool,
    /// Whether it was final, not by our own sync, and Stripe contradicts it.
    pub was_corrected: bool,
    /// Its status at Stripe when the run came: `open`, if the run ended it.
    pub found: String,
}

impl Synced {
    /// The order that this very write showed to be paid.
    #[must_use]
    pub fn paid_order(&self) -> Option<Uuid> {
        self.order_id
            .filter(|_| self.has_turned && self.status == "succeeded")
    }

    /// The alert about a final status here that was not Stripe's.
    #[must_use]
    pub fn correction(&self) -> Option<Alert> {
        let details = json!({
            "stripe_payment_intent_id": self.stripe_id,
            "order_id": self.order_id,
            "previous_status": self.old_status,
            "status": self.found,
        });
        let words = [self.stripe_id.as_str(), &self.old_status, &self.found];
        self.was_corrected
            .then(|| INTENT_CORRECTED.about(&self.id.to_string(), &words, details))
    }
}

/// Writes what Stripe answered, in the name of `actor`; answers the rows that
/// were written. A row that was changed since it was read is written only where
/// Stripe's status is final and the row's is none, or the same. Rows are locked
/// in id order, and a cancellation is noted once, for the row that really turned.
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
    let news = reports
        .iter()
        .filter(|report| report.was_asked || report.tried);
    let reported: Vec<Value> = news.map(|report| as_json(report)).collect();
    if reported.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_file_as!(
        Synced,
        "src/shop/payment_intents/sync_intents.sql",
        Json(reported) as _,
        ctx.now,
        ctx.fence.run_id(),
        actor,
    )
    .fetch_all(db)
    .await
}

fn as_json(report: &IntentReport) -> Value {
    let state = &report.state;
    let (reason, canceled_at, by_us) = match state {
        IntentState::Canceled { reason, at, by_us } => (reason.as_deref(), *at, *by_us),
        _ => (None, None, false),
    };
    // Money that is partly in is not known by the status, and so is asked about again.
    let synced = match state {
        IntentState::PartlyPaid(_) => Some("partly_paid"),
        state => state.status(),
    };
    json!({
        "id": report.intent.id,
        "intent": report.intent.stripe_id,
        "session": report.intent.checkout_session_id,
        "read_status": report.intent.status,
        "read_at": report.intent.updated_at,
        "attempts": report.intent.cancel_attempts,
        "status": state.status(),
        "synced": synced,
        "error": state.error(),
        "definite": state.is_definite(),
        "tried": report.tried,
        "reason": reason,
        "canceled_at": canceled_at,
        "by_us": by_us,
    })
}
