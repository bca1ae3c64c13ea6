//! QStash's REST API, as far as it is needed here, with typed outcomes.
//!
//! Promises that the token travels only over https or to this machine, and
//! that a call is repeated only when repeating it is safe: only after
//! network errors, because every call here is an upsert, a deletion, a read, or
//! carries a deduplication id. The engine decides what is published and when,
//! `qstash-schedules.json` what is scheduled.
//!
//! Sources: <https://upstash.com/docs/qstash/api/authentication>,
//! <https://upstash.com/docs/qstash/api-reference/messages/publish-a-message>,
//! <https://upstash.com/docs/qstash/features/batch>,
//! <https://upstash.com/docs/qstash/features/deduplication>.

use std::sync::Arc;
use std::time::Duration;

use backon::Retryable;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::foreign_text::ForeignText;
use crate::outbound::{self, TIMEOUT};

mod answer;
mod keys;
mod schedules;

pub use answer::Failure;
pub use schedules::{HeaderText, Listed};

/// What it takes to call QStash.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `QSTASH_TOKEN`; a read-only one can read.
    pub token: SecretString,
    /// The address of the API, without a trailing slash.
    pub base: Url,
}

/// A client of QStash; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    settings: Arc<Settings>,
}

/// A message to be published.
#[derive(Debug, Clone)]
pub struct Message {
    /// The address it is delivered to, byte for byte.
    pub destination: String,
    /// How: see [`super::delivery::Destination::headers`].
    pub headers: HeaderMap,
    /// What is delivered.
    pub body: String,
    /// The same id within ten minutes is one message.
    pub deduplication_id: String,
}

/// A message that QStash will deliver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// QStash's id of it.
    pub message_id: ForeignText,
    /// Whether it had been published before.
    #[serde(default)]
    pub deduplicated: bool,
}

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// When the TLS stack cannot be set up.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        Ok(Self {
            http: outbound::client(TIMEOUT)?,
            settings: Arc::new(settings),
        })
    }

    /// `POST /v2/publish/{destination}`.
    ///
    /// # Errors
    /// What QStash, or the way to it, said instead.
    pub async fn publish(&self, message: &Message) -> Result<Published, Failure> {
        let path = format!("v2/publish/{}", message.destination);
        let body = message.body.clone();
        let answer = self
            .call(Method::POST, &path, message.all_headers(), body)
            .await?;
        answer::read(answer)
    }

    /// `POST /v2/batch`: one answer for each message, in their order; one that
    /// fails does not fail the others.
    ///
    /// # Errors
    /// What QStash, or the way to it, said of all of them.
    pub async fn batch(
        &self,
        messages: &[Message],
    ) -> Result<Vec<Result<Published, Failure>>, Failure> {
        let entries: Vec<Value> = messages.iter().map(Message::in_a_batch).collect();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let body = Value::Array(entries).to_string();
        let answer = self.call(Method::POST, "v2/batch", headers, body).await?;
        let answers: Vec<Value> = answer::read(answer)?;
        if answers.len() != messages.len() {
            let (got, sent) = (answers.len(), messages.len());
            return Err(answer::unclear(&format_args!(
                "{got} answers to {sent} messages"
            )));
        }
        Ok(answers.into_iter().map(answer::of_entry).collect())
    }

    /// One call, repeated while there is no answer.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: String,
    ) -> Result<Value, Failure> {
        let base = self.settings.base.as_str().trim_end_matches('/');
        // Not a segment of a path: QStash wants the destination as it is.
        let url = format!("{base}/{path}");
        let backoff = outbound::backoff().with_min_delay(Duration::from_millis(100));
        let call = || async {
            let request = self
                .http
                .request(method.clone(), &url)
                .bearer_auth(self.settings.token.expose_secret())
                .headers(headers.clone())
                .body(body.clone());
            answer::receive(request.send().await).await
        };
        call.retry(backoff)
            .when(|failure| matches!(failure, Failure::Unreachable(_)))
            .await
    }
}

impl Message {
    /// Has QStash deliver it only after so many seconds:
    /// <https://upstash.com/docs/qstash/features/delay>.
    pub fn delay(&mut self, seconds: u64) {
        if let Ok(delay) = HeaderValue::from_str(&format!("{seconds}s")) {
            self.headers.insert("upstash-delay", delay);
        }
    }

    fn all_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Ok(id) = HeaderValue::from_str(&self.deduplication_id) {
            headers.insert("upstash-deduplication-id", id);
        }
        headers
    }

    fn in_a_batch(&self) -> Value {
        let headers: Map<String, Value> = self
            .all_headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                (name.as_str().to_owned(), Value::from(value))
            })
            .collect();
        json!({ "destination": self.destination, "headers": headers, "body": self.body })
    }
}
