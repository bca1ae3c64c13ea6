//! Messages of our own: what this service asks QStash to deliver to it.
//!
//! Owns how such a message is made: to the job's own route, delivered as the
//! job's deployed schedule says. What is published, and when, is decided in
//! `continuation` and `fan_out`.

use anyhow::Context;

use super::{Job, Options};
use crate::qstash::client::{Client, Message, Settings};
use crate::qstash::delivery::Destination;
use crate::qstash::schedules::Schedules;

/// What it takes to publish.
#[derive(Debug, Clone)]
pub struct Publisher {
    pub(super) client: Client,
    destination: Destination,
}

impl Publisher {
    /// A publisher of messages to `destination`.
    ///
    /// # Errors
    /// When the TLS stack cannot be set up.
    pub fn new(settings: Settings, destination: Destination) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(settings)?,
            destination,
        })
    }

    /// A message that asks for a run of `job`.
    ///
    /// # Errors
    /// When a setting holds what no header can carry.
    pub(super) fn message(
        &self,
        job: &Job,
        options: &Options,
        deduplication_id: String,
    ) -> anyhow::Result<Message> {
        let delivery = Schedules::deployed().delivery_of(job.name);
        Ok(Message {
            destination: self.destination.of(job.name),
            headers: self.destination.headers(delivery)?,
            body: serde_json::to_string(options).context("write the options")?,
            deduplication_id,
        })
    }
}
