//! The deliveries: signed, tried again, and given up, as
//! <https://upstash.com/docs/qstash/features/retry> says.
//!
//! Each attempt has a token of its own. 2xx ends a message; anything else, and no answer in time,
//! is tried again until `Upstash-Retries` are used up, or at once no more after a 489 with
//! `Upstash-NonRetryable-Error`. Then the failure callback is a message of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::HeaderMap;
use reqwest::Method;
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::callback;
use super::message::{Attempt, FORWARD, Fate, Message};
use super::messages;
use super::service::Shared;
use crate::demo::double::wall_clock;
use crate::outbound;
use crate::qstash::{retry, signature};

/// The longest an answer is waited for; a message's own timeout can only shorten it.
const TIMEOUT: Duration = Duration::from_mins(15);

/// How the double delivers.
#[derive(Debug, Clone)]
pub struct Courier {
    /// The receiver's current signing key.
    pub signing_key: SecretString,
    /// What the destinations begin with; tokens are signed for it.
    pub public_url: String,
    /// Where that really is: replicas take turns, as behind a balancer. None: where it says.
    pub replicas: Vec<String>,
    /// Waits between attempts are that many times shorter than QStash's.
    pub hurry: u32,
    /// Deliveries at once.
    pub parallelism: usize,
}

/// A courier at work.
#[derive(Debug)]
pub(super) struct Dispatcher {
    courier: Courier,
    http: reqwest::Client,
    slots: Semaphore,
    turn: AtomicUsize,
}

/// Delivers the message in the background, once deliveries are switched on.
pub(super) fn send_out(state: &Shared, id: &str) {
    let Some(dispatcher) = state.lock().dispatcher.clone() else {
        return;
    };
    let (state, id) = (state.clone(), id.to_owned());
    tokio::spawn(async move { dispatcher.deliver(&state, &id).await });
}

impl Dispatcher {
    pub(super) fn new(courier: Courier) -> anyhow::Result<Self> {
        Ok(Self {
            http: outbound::client(TIMEOUT)?,
            slots: Semaphore::new(courier.parallelism.max(1)),
            turn: AtomicUsize::new(0),
            courier,
        })
    }

    /// Attempt after attempt, until the message has come to an end.
    async fn deliver(self: Arc<Self>, state: &Shared, id: &str) {
        // A courier set later has taken over everything that was waiting.
        let waiting = |state: &Shared| {
            let mut state = state.lock();
            let current = state.dispatcher.as_ref();
            let is_current = current.is_some_and(|current| Arc::ptr_eq(current, &self));
            is_current.then(|| state.messages.waiting(id).cloned())?
        };
        let Some(message) = waiting(state) else {
            return;
        };
        let delay = message.duration("upstash-delay");
        self.pause(delay.unwrap_or_default()).await;
        // Deleted while it waited: nothing arrives.
        while let (Ok(slot), Some(message)) = (self.slots.acquire().await, waiting(state)) {
            let attempt = self.attempt(&message).await;
            drop(slot);
            let retried = u32::try_from(message.attempts.len()).unwrap_or(u32::MAX);
            let fate = fate_of(&attempt, retried, message.most_retries());
            // Before the end of the message can be seen.
            if let Fate::Failed(dead_letter) = &fate
                && let Some(draft) = callback::of(&message, &attempt, dead_letter)
            {
                messages::publish(state, draft);
            }
            state.lock().messages.note(id, &attempt, &fate);
            if fate == Fate::Waiting {
                let wait = retry::wait(&attempt.headers, wall_clock(), retried + 1);
                self.pause(wait).await;
            }
        }
    }

    async fn pause(&self, wait: Duration) {
        if !wait.is_zero() {
            tokio::time::sleep(wait / self.courier.hurry.max(1)).await;
        }
    }

    async fn attempt(&self, message: &Message) -> Attempt {
        let answer = self.post(message).await;
        answer.unwrap_or_else(|error| Attempt {
            status: 0,
            headers: HeaderMap::new(),
            body: format!("{error:#}"),
        })
    }

    /// One delivery, with the headers of <https://upstash.com/docs/qstash/howto/receiving>.
    async fn post(&self, message: &Message) -> anyhow::Result<Attempt> {
        let (destination, body) = (&message.destination, message.body.clone());
        let key = &self.courier.signing_key;
        let token = signature::sign(key, destination, body.as_bytes(), wall_clock())?;
        let method = Method::from_bytes(message.method().as_bytes())?;
        let timeout = message.duration("upstash-timeout").unwrap_or(TIMEOUT);
        let optional = [
            ("content-type", message.header("content-type")),
            ("upstash-schedule-id", message.schedule_id.as_deref()),
        ];
        let optional = optional
            .into_iter()
            .filter_map(|(name, it)| Some((name, it?)));
        let mut request = self
            .http
            .request(method, self.address(destination))
            .header("user-agent", "Upstash-QStash")
            .header("upstash-message-id", &message.id)
            .header("upstash-retried", message.attempts.len().to_string())
            .header("upstash-caller-ip", "127.0.0.1")
            .header("upstash-signature", token)
            .timeout(timeout.min(TIMEOUT));
        for (name, value) in optional.chain(message.below(FORWARD)) {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await?;
        Ok(Attempt {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await?,
        })
    }

    /// Where the destination is reached: the next replica's turn.
    fn address(&self, destination: &str) -> String {
        let path = destination.strip_prefix(&self.courier.public_url);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let replicas = &self.courier.replicas;
        match (path, replicas.get(turn % replicas.len().max(1))) {
            (Some(path), Some(replica)) => format!("{replica}{path}"),
            _ => destination.to_owned(),
        }
    }
}

fn fate_of(attempt: &Attempt, retried: u32, most_retries: u32) -> Fate {
    if (200..300).contains(&attempt.status) {
        Fate::Delivered
    } else if retry::is_final(attempt.status, &attempt.headers) || retried >= most_retries {
        Fate::Failed(format!("dlq_{}", uuid::Uuid::now_v7().simple()))
    } else {
        Fate::Waiting
    }
}
