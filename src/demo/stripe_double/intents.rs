//! Payment intents and Checkout sessions: what a call does to them.
//!
//! It promises Stripe's rules for canceling, and counts every cancel that took effect.
//! Charges, customers and payment methods do not exist.

use std::collections::HashMap;

use serde_json::Value;

use super::answer::Answer;
use super::faults::Operation;
use super::object::{Intent, Record, charged};
use super::session::Session;

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
                payment_intent: Some(id.clone()),
                amount: intent.amount,
                ..Session::new(session, "open")
            };
            self.sessions.insert(session.clone(), owner);
        }
        self.records.insert(id.clone(), Record::new(intent));
        self.set_status(&id, &status);
    }

    pub(super) fn add_session(&mut self, session: Session) {
        let intent = session.payment_intent.as_ref();
        if let Some(record) = intent.and_then(|id| self.records.get_mut(id)) {
            record.intent.checkout_session_id = Some(session.id.clone());
        }
        self.sessions.insert(session.id.clone(), session);
    }

    pub(super) fn status(&self, id: &str) -> Option<&str> {
        self.records
            .get(id)
            .map(|record| record.intent.status.as_str())
    }

    pub(super) fn session_status(&self, id: &str) -> Option<&str> {
        self.sessions.get(id).map(|session| session.status.as_str())
    }

    /// The intent a session pays with.
    pub(super) fn paid_by(&self, session: &str) -> Option<&str> {
        self.sessions.get(session)?.payment_intent.as_deref()
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

    pub(super) fn session_body(&self, id: &str, is_expanded: bool) -> Option<Value> {
        let intent = self.paid_by(id).and_then(|intent| self.body(intent));
        let session = self.sessions.get(id)?;
        Some(session.body(intent, is_expanded))
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
            let follows = match status {
                "canceled" => "expired",
                status if charged(status) => "complete",
                _ => "open",
            };
            follows.clone_into(&mut session.status);
        }
        true
    }

    /// Moves an intent, unless it is canceled, which can no longer be paid; an open session without
    /// one gets one. False when neither could be.
    pub(super) fn overtake(&mut self, intent: &str, session: &str, status: &str) -> bool {
        let open = self.sessions.get(session);
        let open = open.filter(|it| it.status == "open" && it.payment_intent.is_none());
        if let Some(amount) = open.map(|session| session.amount) {
            self.add(Intent {
                amount,
                checkout_session_id: Some(session.to_owned()),
                ..Intent::new(session.replacen("cs_", "pi_", 1), status)
            });
            return true;
        }
        self.status(intent) != Some("canceled") && self.set_status(intent, status)
    }

    /// <https://docs.stripe.com/api/payment_intents/retrieve>
    pub(super) fn retrieve(&self, id: &str) -> Answer {
        let body = self.body(id).map(Answer::ok);
        body.unwrap_or_else(|| missing(Operation::Retrieve, id, ""))
    }

    /// <https://docs.stripe.com/api/checkout/sessions/retrieve>
    pub(super) fn retrieve_session(&self, id: &str, is_expanded: bool) -> Answer {
        let body = self.session_body(id, is_expanded).map(Answer::ok);
        body.unwrap_or_else(|| missing(Operation::RetrieveSession, id, ""))
    }

    /// <https://docs.stripe.com/api/payment_intents/cancel>: not when it is over, and one that
    /// Checkout owns only while it waits for its capture.
    pub(super) fn cancel(&mut self, id: &str, reason: Option<&str>) -> Answer {
        let Some(record) = self.records.get(id) else {
            return missing(Operation::Cancel, id, "");
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
        unexpected_state(&message, record.body())
    }

    /// <https://docs.stripe.com/api/checkout/sessions/expire>: an open session only, and its
    /// intent, if it has one, is canceled with it.
    pub(super) fn expire(&mut self, id: &str, is_expanded: bool) -> Answer {
        let Some(session) = self.sessions.get_mut(id) else {
            return missing(Operation::ExpireSession, id, "");
        };
        if session.status != "open" {
            let status = &session.status;
            let message = format!(
                "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout \
                 Session has a status of `{status}`."
            );
            return Answer::error(400, None, &message);
        }
        "expired".clone_into(&mut session.status);
        if let Some(intent) = session.payment_intent.clone() {
            self.take_back(&intent, None);
        }
        self.retrieve_session(id, is_expanded)
    }

    /// What a call would be answered that did nothing to this object; `None` when there is none.
    pub(super) fn about(&self, operation: Operation, id: &str) -> Option<Answer> {
        let body = self.body(id).or_else(|| self.session_body(id, false))?;
        Some(match operation {
            Operation::Cancel if self.status(id) != Some("canceled") => unexpected_state("", body),
            _ => Answer::ok(body),
        })
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

/// 404 for an unknown id (<https://docs.stripe.com/error-codes/resource-missing>), with whatever
/// else Stripe says about it.
pub(super) fn missing(operation: Operation, id: &str, hint: &str) -> Answer {
    let (object, param) = match operation {
        Operation::Retrieve | Operation::Cancel => ("payment_intent", "intent"),
        Operation::RetrieveSession | Operation::ExpireSession => ("checkout.session", "session"),
    };
    let message = format!("No such {object}: '{id}'{hint}");
    Answer::error(404, Some("resource_missing"), &message).with("param", param)
}

/// 400 for an intent whose state forbids the call
/// (<https://docs.stripe.com/error-codes/payment-intent-unexpected-state>).
fn unexpected_state(message: &str, intent: Value) -> Answer {
    Answer::error(400, Some("payment_intent_unexpected_state"), message)
        .with("payment_intent", intent)
}
