//! `trigger`: a delivery to a running service, signed as QStash signs it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::options::OptionArgs;
use super::{Usage, progress};
use crate::config::Settings;
use crate::jobs::Job;
use crate::outbound;
use crate::qstash::signature;

/// Longer than any run may take.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Where the service is, and what it takes itself for.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    pub(super) url: Option<String>,
    pub(super) public_url: Option<String>,
}

/// Posts a delivery and prints the answer.
///
/// # Errors
/// When a setting is wrong or the service cannot be reached.
pub(super) async fn trigger(
    settings: &Settings,
    job: &str,
    options: &OptionArgs,
    addresses: Addresses,
    message_id: Option<String>,
) -> anyhow::Result<ExitCode> {
    let (job, options) = options.read(job)?;
    let public_url = match (addresses.public_url, &addresses.url, settings.public_url()) {
        (Some(public_url), _, _) | (None, _, Ok(public_url)) => public_url,
        (None, Some(url), Err(_)) => url.clone(),
        (None, None, Err(wrong)) => return Err(wrong.into()),
    };
    let delivery = Delivery {
        job,
        url: addresses.url.unwrap_or_else(|| public_url.clone()),
        public_url,
        body: serde_json::to_string(&options)?,
        message_id: message_id.unwrap_or_else(new_message_id),
        cron_secret: settings.cron_secret(true)?,
        signing_key: settings.key_ring(true)?.current().clone(),
    };
    let waiting = progress::waiting(&format!("{} at {}", job.name, delivery.url));
    let answer = delivery.post().await?;
    waiting.finish_and_clear();
    eprintln!("{} {}", answer.status, delivery.message_id);
    println!("{:#}", answer.body);
    Ok(if (200..300).contains(&answer.status) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One message to one job.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The job.
    pub job: &'static Job,
    /// Where the service listens.
    pub url: String,
    /// What the token is signed for.
    pub public_url: String,
    /// Its options, as JSON.
    pub body: String,
    /// The same over all attempts.
    pub message_id: String,
    /// The scheduler's Bearer secret.
    pub cron_secret: SecretString,
    /// QStash's current key.
    pub signing_key: SecretString,
}

/// What the service answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The body, or its text where it is not JSON.
    pub body: Value,
}

impl Delivery {
    /// Delivers it once, under a fresh token, with the headers QStash sends.
    ///
    /// # Errors
    /// When the service cannot be reached.
    pub async fn post(&self) -> anyhow::Result<Answered> {
        let path = format!("/api/cron/{}", self.job.name);
        let url = url::Url::parse(&format!("{}{path}", self.url.trim_end_matches('/')))
            .map_err(|_| Usage(format!("{} is no address", self.url)))?;
        if !outbound::is_safe_for_secrets(&url) {
            return Err(Usage(format!(
                "{} would carry the secret in the clear; use https",
                self.url
            ))
            .into());
        }
        let signed_for = format!("{}{path}", self.public_url.trim_end_matches('/'));
        #[expect(
            clippy::disallowed_methods,
            reason = "QStash's part is played here, clock and all"
        )]
        let now = chrono::Utc::now();
        let token = signature::sign(&self.signing_key, &signed_for, self.body.as_bytes(), now)?;
        let response = outbound::client(TIMEOUT)?
            .post(url.clone())
            .bearer_auth(self.cron_secret.expose_secret())
            .header("User-Agent", "Upstash-QStash")
            .header("Content-Type", "application/json")
            .header("Upstash-Message-Id", &self.message_id)
            .header("Upstash-Retried", "0")
            .header("Upstash-Signature", token)
            .body(self.body.clone())
            .send()
            .await
            .with_context(|| format!("call {url}"))?;
        let status = response.status().as_u16();
        let text = response.text().await.context("read the answer")?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answered { status, body })
    }
}

/// A message id nobody has used.
#[must_use]
pub fn new_message_id() -> String {
    format!("msg_cli_{}", uuid::Uuid::now_v7().simple())
}
