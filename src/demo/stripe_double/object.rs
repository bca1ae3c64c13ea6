//! The payment intent: what it is made of and how it reads on the wire.
//!
//! It knows the fields that this service reads, not all of Stripe's, and no rules.

use serde_json::{Value, json};

use crate::demo::double::wall_clock;

/// A payment intent to put into the double.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// Its id, `pi_…`.
    pub id: String,
    /// Its status, as Stripe names it (<https://docs.stripe.com/payments/intents>).
    pub status: String,
    /// Its amount in minor units.
    pub amount: i64,
    /// Its currency, lower case.
    pub currency: String,
    /// The Checkout session that owns it, `cs_…`.
    pub checkout_session_id: Option<String>,
    /// What has come in of a bank transfer, in minor units; `None` when it is paid otherwise.
    /// Stripe documents that `amount_remaining` falls, not whether `amount_received` rises too:
    /// the former alone tells it in `requires_action`, the latter alone in other open statuses.
    pub transferred: Option<i64>,
}

impl Intent {
    /// An intent over 10.00 EUR that belongs to no session.
    #[must_use]
    pub fn new(id: impl Into<String>, status: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            status: status.into(),
            amount: 1000,
            currency: "eur".to_owned(),
            ..Self::default()
        }
    }
}

/// An intent and what has become of it.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) intent: Intent,
    created: i64,
    canceled_at: Option<i64>,
    pub(super) cancellation_reason: Option<String>,
    manual_capture: bool,
    charged: bool,
    /// How many calls canceled it.
    pub(super) cancels: usize,
}

impl Record {
    pub(super) fn new(intent: Intent) -> Self {
        Self {
            intent,
            created: wall_clock().timestamp(),
            ..Self::default()
        }
    }

    /// Moves it to a status, whatever it was before.
    pub(super) fn turn(&mut self, status: &str) {
        status.clone_into(&mut self.intent.status);
        self.manual_capture |= status == "requires_capture";
        self.charged |= charged(status);
        self.canceled_at = (status == "canceled").then(|| wall_clock().timestamp());
        self.cancellation_reason = None;
    }

    /// <https://docs.stripe.com/api/payment_intents/object>, as far as this service reads it.
    pub(super) fn body(&self) -> Value {
        let Intent {
            id,
            status,
            amount,
            currency,
            transferred,
            ..
        } = &self.intent;
        let amount_if = |wanted: &str| if status == wanted { *amount } else { 0 };
        let received = match status.as_str() {
            "succeeded" => *amount,
            "requires_action" | "canceled" => 0,
            _ => transferred.unwrap_or_default(),
        };
        json!({
            "id": id,
            "object": "payment_intent",
            "amount": amount,
            "amount_capturable": amount_if("requires_capture"),
            "amount_received": received,
            "currency": currency,
            "status": status,
            "cancellation_reason": self.cancellation_reason,
            "canceled_at": self.canceled_at,
            "capture_method": if self.manual_capture { "manual" } else { "automatic_async" },
            "created": self.created,
            "latest_charge": self.charged.then(|| id.replacen("pi_", "ch_", 1)),
            "livemode": false,
            "metadata": {},
            "next_action": self.next_action(),
        })
    }

    /// <https://docs.stripe.com/api/payment_intents/object#payment_intent_object-next_action>, for a
    /// bank transfer that is awaited.
    fn next_action(&self) -> Option<Value> {
        let awaited = self.intent.status == "requires_action";
        let transferred = self.intent.transferred.filter(|_| awaited)?;
        Some(json!({
            "type": "display_bank_transfer_instructions",
            "display_bank_transfer_instructions": {
                "amount_remaining": self.intent.amount - transferred,
                "currency": self.intent.currency,
                "type": "eu_bank_transfer",
            },
        }))
    }
}

/// Whether an intent of this status has a charge, which completes its session
/// (<https://docs.stripe.com/api/checkout/sessions/object>).
pub(super) fn charged(status: &str) -> bool {
    matches!(status, "processing" | "requires_capture" | "succeeded")
}
