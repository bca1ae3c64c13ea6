//! The Checkout session: what it is made of and how it reads on the wire.
//!
//! It knows the fields that this service reads, not all of Stripe's, and no rules.

use serde_json::{Value, json};

/// A Checkout session to put into the double.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// Its id, `cs_…`.
    pub id: String,
    /// `open`, `complete` or `expired` (<https://docs.stripe.com/api/checkout/sessions/object>).
    pub status: String,
    /// Its intent; since API version 2022-08-01 there is none before the customer pays.
    pub payment_intent: Option<String>,
    /// Its amount in minor units.
    pub amount: i64,
}

impl Session {
    /// A session over 10.00 EUR that has no intent yet.
    #[must_use]
    pub fn new(id: impl Into<String>, status: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            status: status.into(),
            amount: 1000,
            ..Self::default()
        }
    }

    /// The session, with the object of its intent; `expand[]` shows that in place of its id.
    pub(super) fn body(&self, intent: Option<Value>, is_expanded: bool) -> Value {
        let payment_status = match &intent {
            Some(intent) if intent["status"] == "succeeded" => "paid",
            None if self.status == "complete" => "no_payment_required",
            _ => "unpaid",
        };
        let id = json!(self.payment_intent);
        let is_open = self.status == "open";
        json!({
            "id": self.id,
            "object": "checkout.session",
            "status": self.status,
            "payment_status": payment_status,
            "payment_intent": intent.filter(|_| is_expanded).unwrap_or(id),
            "amount_total": self.amount,
            "currency": "eur",
            "mode": "payment",
            "livemode": false,
            "metadata": {},
            "url": is_open.then(|| format!("https://checkout.stripe.com/c/pay/{}", self.id)),
        })
    }
}
