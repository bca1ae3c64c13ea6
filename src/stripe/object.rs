//! What we read of Stripe's objects. Every read is of one id, and an answer
//! about another is no answer.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Failure;
use crate::foreign_text::ForeignText;

/// A `PaymentIntent`, as far as we look at it:
/// <https://docs.stripe.com/api/payment_intents/object>.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Intent {
    /// Stripe's id, `pi_…`.
    pub id: String,
    /// One of the seven statuses of
    /// <https://docs.stripe.com/payments/paymentintents/lifecycle>, or one
    /// that Stripe added since.
    pub status: String,
    /// Why it was cancelled; Stripe reads back more reasons than it takes.
    pub cancellation_reason: Option<ForeignText>,
    /// When it was cancelled.
    #[serde(default, with = "chrono::serde::ts_seconds_option")]
    pub canceled_at: Option<DateTime<Utc>>,
    amount: Option<i64>,
    amount_received: Option<i64>,
    amount_capturable: Option<i64>,
    next_action: Option<Value>,
}

/// A Checkout session, as far as we look at it:
/// <https://docs.stripe.com/api/checkout/sessions/object>.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Session {
    id: String,
    /// `open`, `complete` or `expired`.
    pub status: Option<String>,
    /// `paid`, `unpaid` or `no_payment_required`.
    pub payment_status: Option<String>,
    payment_intent: Option<Value>,
}

impl Intent {
    /// Whether some of the money has come in: received, held, or funded by a
    /// bank transfer of less than the amount
    /// (<https://docs.stripe.com/payments/bank-transfers/accept-a-payment>).
    #[must_use]
    pub fn has_money_in(&self) -> bool {
        let remaining = self.next_action.as_ref().and_then(|action| {
            action
                .pointer("/display_bank_transfer_instructions/amount_remaining")?
                .as_i64()
        });
        let is_funded = remaining
            .zip(self.amount)
            .is_some_and(|(left, all)| left < all);
        is_funded || self.amount_received > Some(0) || self.amount_capturable > Some(0)
    }
}

impl Session {
    /// Whether its customer can still pay.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.status.as_deref() == Some("open")
    }

    /// Its intent; a session has none until its customer pays.
    #[must_use]
    pub fn payment_intent(&self) -> Option<&str> {
        let intent = self.payment_intent.as_ref()?;
        intent.get("id").unwrap_or(intent).as_str()
    }
}

/// An object that has an id.
pub(super) trait Object: DeserializeOwned {
    const NAME: &'static str;
    fn id(&self) -> &str;
}

impl Object for Intent {
    const NAME: &'static str = "PaymentIntent";
    fn id(&self) -> &str {
        &self.id
    }
}

impl Object for Session {
    const NAME: &'static str = "Checkout session";
    fn id(&self) -> &str {
        &self.id
    }
}

/// The object of that id in an answer. The intent that a refusal carries is
/// left out when it is another.
pub(super) fn read<T: Object>(answer: Result<String, Failure>, id: &str) -> Result<T, Failure> {
    let body = match answer {
        Ok(body) => body,
        Err(Failure::Refused {
            status,
            code,
            message,
            intent,
        }) => {
            return Err(Failure::Refused {
                status,
                code,
                message,
                intent: intent.filter(|intent| intent.id == id),
            });
        }
        Err(failure) => return Err(failure),
    };
    let no_answer = |message: &str| Failure::Unavailable {
        message: ForeignText::new(message),
        retry: false,
        retry_after: None,
    };
    let object: T = serde_json::from_str(&body)
        .map_err(|_| no_answer(&format!("a 200 whose body is no {}", T::NAME)))?;
    if object.id() == id {
        Ok(object)
    } else {
        let other = object.id();
        Err(no_answer(&format!(
            "asked about {id}, it told of {other:.100}"
        )))
    }
}
