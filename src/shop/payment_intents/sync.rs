//! Writes Stripe's word into our rows.

use chrono::{DateTime, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::{Told, Word};
use crate::database::Unprepared;
use crate::engine::JobContext;

/// A row as it stands now that Stripe's word is written.
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

/// Writes what Stripe said, in the name of `actor`; answers the rows that
/// were written. A row that was brought to an end meanwhile is not: a final
/// status is never overwritten by an older answer. Rows are locked in id
/// order, and a cancellation is noted once, for the row that really turned.
///
/// `last_synced_at` moves only for a definite word; a failure leaves the
/// status as it was, and `last_error`, `cancel_attempts` and `updated_at`
/// tell of it.
///
/// # Errors
/// When the database refuses.
pub async fn sync(
    db: Unprepared<'_>,
    told: &[&Told],
    ctx: &JobContext,
    actor: &str,
) -> Result<Vec<Synced>> {
    let text = |read: fn(&Word) -> Option<&str>| -> Vec<Option<String>> {
        let read = |told: &&Told| read(&told.word).map(str::to_owned);
        told.iter().map(read).collect()
    };
    let flag = |read: fn(&Told) -> bool| -> Vec<bool> { told.iter().map(|t| read(t)).collect() };
    let ids: Vec<Uuid> = told.iter().map(|told| told.intent.id).collect();
    let canceled_at: Vec<Option<DateTime<Utc>>> =
        told.iter().map(|t| canceled_at(&t.word)).collect();
    sqlx::query_file_as!(
        Synced,
        "src/shop/payment_intents/sync_intents.sql",
        &ids,
        &text(Word::status) as &[Option<String>],
        &text(Word::trouble) as &[Option<String>],
        &flag(|told| told.word.is_definite()),
        &flag(|told| told.tried),
        &text(reason) as &[Option<String>],
        &canceled_at as &[Option<DateTime<Utc>>],
        &flag(|told| matches!(told.word, Word::Canceled { by_us: true, .. })),
        ctx.now,
        ctx.fence.run_id(),
        actor,
    )
    .fetch_all(db)
    .await
}

fn reason(word: &Word) -> Option<&str> {
    match word {
        Word::Canceled { reason, .. } => reason.as_deref(),
        _ => None,
    }
}

fn canceled_at(word: &Word) -> Option<DateTime<Utc>> {
    match word {
        Word::Canceled { at, .. } => *at,
        _ => None,
    }
}
