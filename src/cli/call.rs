//! One message to one job, delivered as QStash delivers it.
//!
//! Owns the headers of a delivery and the fresh token of each attempt. It does
//! not retry; `trigger` does.

use std::time::Duration;

use anyhow::Context;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{Usage, now};
use crate::engine::Job;
use crate::outbound;
use crate::qstash::signature;

/// Longer than any run may take.
const TIMEOUT: Duration = Duration::from_mins(2);

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

/// The service's answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// They may name the wait before a retry, or forbid one.
    pub headers: HeaderMap,
    /// The body, or its text where it is not JSON.
    pub body: Value,
}

impl Answer {
    /// Whether QStash counts the message as delivered.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Delivery {
    /// Delivers it once, with a fresh token and the headers that QStash sends
    /// after `retried` failed attempts.
    ///
    /// # Errors
    /// When the service cannot be reached.
    pub async fn attempt(&self, retried: u32) -> anyhow::Result<Answer> {
        let url = self.address()?;
        let signed_for = format!("{}{}", self.public_url.trim_end_matches('/'), self.path());
        let token = signature::sign(&self.signing_key, &signed_for, self.body.as_bytes(), now())?;
        let response = outbound::client(TIMEOUT)?
            .post(url.clone())
            .bearer_auth(self.cron_secret.expose_secret())
            .header("User-Agent", "Upstash-QStash")
            .header("Content-Type", "application/json")
            .header("Upstash-Message-Id", &self.message_id)
            .header("Upstash-Retried", retried)
            .header("Upstash-Signature", token)
            .body(self.body.clone())
            .send()
            .await
            .with_context(|| format!("call {url}"))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = outbound::body(response).await.context("read the answer")?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer {
            status,
            headers,
            body,
        })
    }

    /// Where it goes.
    ///
    /// # Errors
    /// [`Usage`] when that is not an address, or would carry the secret in the clear.
    pub fn address(&self) -> Result<Url, Usage> {
        let url = Url::parse(&format!(
            "{}{}",
            self.url.trim_end_matches('/'),
            self.path()
        ))
        .map_err(|_| Usage(format!("{} is not an address", self.url)))?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_plain {
            let what = "the address must be without a user, a query and a fragment";
            return Err(Usage(what.to_owned()));
        }
        if outbound::is_safe_for_secrets(&url) {
            Ok(url)
        } else {
            Err(Usage(format!(
                "{} would carry the secret in the clear; use https",
                self.url
            )))
        }
    }

    fn path(&self) -> String {
        format!("/api/cron/{}", self.job.name)
    }
}

/// A new message id.
#[must_use]
pub fn new_message_id() -> String {
    format!("msg_cli_{}", uuid::Uuid::now_v7().simple())
}
