//! Payment intents and their Checkout sessions: what a call does to them.
//!
//! It promises Stripe's rules for canceling, and counts every cancel that took effect.
//! Charges, customers and payment methods do not exist.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::answer::Answer;
use super::object::{Intent, Record, charged};

#[derive(Debug)]
struct Session {
    intent: String,
    status: &'static str,
}

/// All intents and sessions.
#[derive(Debug, Default)]
pub(super) struct Intents {
    records: HashMap<String, Record>,
    sessions: HashMap<String, Session>,
    pub(super) cancel_while_processing: bool,
}

impl Intents {
    pub(super) fn add(&mut self, intent: Intent) {
        let (id, status) = (intent.id.clone(), intent.status.clone());
        if let Some(session) = &intent.checkout_session_id {
            let owner = Session {
                intent: id.clone(),
                status: "open",
            };
            self.sessions.insert(session.clone(), owner);
        }
        self.records.insert(id.clone(), Record::new(intent));
        self.set_status(&id, &status);
    }

    pub(super) fn status(&self, id: &str) -> Option<&str> {
        self.records
            .get(id)
            .map(|record| record.intent.status.as_str())
    }

    pub(super) fn session_status(&self, id: &str) -> Option<&str> {
        self.sessions.get(id).map(|session| session.status)
    }

    /// The intent a session pays.
    pub(super) fn paid_by(&self, session: &str) -> Option<&str> {
        self.sessions
            .get(session)
            .map(|session| session.intent.as_str())
    }

    pub(super) fn cancel_effects(&self) -> HashMap<String, usize> {
        let canceled = self.records.iter().filter(|(_, record)| record.cancels > 0);
        canceled
            .map(|(id, record)| (id.clone(), record.cancels))
            .collect()
    }

    /// All intents of a status, or all, by id.
    pub(super) fn list(&self, status: Option<&str>) -> Vec<Value> {
        let wanted = |record: &&Record| status.is_none_or(|status| record.intent.status == status);
        let mut found: Vec<&Record> = self.records.values().filter(wanted).collect();
        found.sort_by(|a, b| a.intent.id.cmp(&b.intent.id));
        found.into_iter().map(Record::body).collect()
    }

    pub(super) fn body(&self, id: &str) -> Option<Value> {
        self.records.get(id).map(Record::body)
    }

    /// Moves an intent, and with it the session that owns it while that is open.
    pub(super) fn set_status(&mut self, id: &str, status: &str) -> bool {
        let Some(record) = self.records.get_mut(id) else {
            return false;
        };
        record.turn(status);
        let owner = record.intent.checkout_session_id.as_ref();
        let owner = owner.and_then(|session| self.sessions.get_mut(session));
        if let Some(session) = owner.filter(|session| session.status == "open") {
            session.status = match status {
                "canceled" => "expired",
                status if charged(status) => "complete",
                _ => "open",
            };
        }
        true
    }

    /// <https://docs.stripe.com/api/payment_intents/retrieve>
    pub(super) fn retrieve(&self, id: &str) -> Answer {
        let body = self.body(id).map(Answer::ok);
        body.unwrap_or_else(|| missing("payment_intent", "intent", id))
    }

    /// <https://docs.stripe.com/api/payment_intents/cancel>: not when it is over, and one that
    /// Checkout owns only while it waits for its capture.
    pub(super) fn cancel(&mut self, id: &str, reason: Option<&str>) -> Answer {
        let Some(record) = self.records.get(id) else {
            return missing("payment_intent", "intent", id);
        };
        let status = record.intent.status.as_str();
        let over = match status {
            "succeeded" | "canceled" => true,
            "processing" => !self.cancel_while_processing,
            _ => false,
        };
        let message = if over {
            format!("You cannot cancel this PaymentIntent because it has a status of {status}.")
        } else if record.intent.checkout_session_id.is_some() && status != "requires_capture" {
            "This PaymentIntent belongs to a Checkout Session: expire the session instead."
                .to_owned()
        } else {
            self.take_back(id, reason);
            return self.retrieve(id);
        };
        Answer::error(400, Some("payment_intent_unexpected_state"), &message)
            .with("payment_intent", record.body())
    }

    /// <https://docs.stripe.com/api/checkout/sessions/expire>: an open session only, and its
    /// intent is canceled with it.
    pub(super) fn expire(&mut self, id: &str) -> Answer {
        let Some(session) = self.sessions.get(id) else {
            return missing("checkout.session", "session", id);
        };
        if session.status != "open" {
            let status = session.status;
            let message =
                format!("Only an open Checkout Session can be expired; this is {status}.");
            return Answer::error(400, None, &message);
        }
        let intent = session.intent.clone();
        self.take_back(&intent, None);
        let record = self.records.get(&intent).map(|record| &record.intent);
        Answer::ok(json!({
            "id": id,
            "object": "checkout.session",
            "status": "expired",
            "payment_status": "unpaid",
            "payment_intent": intent,
            "amount_total": record.map(|intent| intent.amount),
            "currency": record.map(|intent| intent.currency.as_str()),
            "mode": "payment",
            "livemode": false,
            "metadata": {},
            "url": null,
        }))
    }

    /// The one place where a call cancels an intent.
    fn take_back(&mut self, id: &str, reason: Option<&str>) {
        self.set_status(id, "canceled");
        if let Some(record) = self.records.get_mut(id) {
            record.cancels += 1;
            record.cancellation_reason = reason.map(str::to_owned);
        }
    }
}

/// 404 for an unknown id (<https://docs.stripe.com/error-codes/resource-missing>).
fn missing(object: &str, param: &str, id: &str) -> Answer {
    let message = format!("No such {object}: '{id}'");
    Answer::error(404, Some("resource_missing"), &message).with("param", param)
}
