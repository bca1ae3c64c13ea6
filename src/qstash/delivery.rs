//! How QStash is asked to deliver to us: the headers that messages and
//! schedules have in common.
//!
//! Promises that the whole set is sent each time, because QStash replaces a
//! schedule's settings and merges nothing, and that `CRON_SECRET` is always
//! taken from the settings, never from what QStash reads back, which may be
//! redacted.
//!
//! Sources: <https://upstash.com/docs/qstash/features/callbacks>,
//! <https://upstash.com/docs/qstash/howto/redact-fields>,
//! <https://upstash.com/docs/qstash/features/retry>.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// How a message is delivered, and what happens when that fails.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Deliveries after the first one has failed.
    pub retries: u32,
    /// How long QStash waits for an answer, such as `60s`.
    pub timeout: String,
    /// The path that is called once when every retry has failed.
    #[serde(default)]
    pub failure_callback: Option<String>,
    /// Whether QStash hides our `Authorization` in its API, console and logs.
    pub redact_authorization: bool,
}

/// The address that QStash calls, and the secret that it sends.
#[derive(Debug, Clone)]
pub struct Destination {
    /// `PUBLIC_URL`, byte for byte as it is configured: deliveries are signed
    /// for it. Without a slash at the end.
    pub public_url: String,
    /// The Bearer secret that it sends us.
    pub cron_secret: SecretString,
}

impl Destination {
    /// The address of a job's route.
    #[must_use]
    pub fn of(&self, job: &str) -> String {
        format!("{}/api/cron/{job}", self.public_url)
    }

    /// The headers that ask for `delivery` to this service.
    ///
    /// # Errors
    /// When a setting is not a valid header value.
    pub fn headers(&self, delivery: &Delivery) -> anyhow::Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: &str, is_secret: bool| {
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                anyhow::anyhow!("{name} cannot be sent: it is not a valid header value")
            })?;
            value.set_sensitive(is_secret);
            headers.insert(HeaderName::from_static(name), value);
            anyhow::Ok(())
        };
        let bearer = format!("Bearer {}", self.cron_secret.expose_secret());
        put(CONTENT_TYPE.as_str(), "application/json", false)?;
        put("upstash-method", "POST", false)?;
        put("upstash-retries", &delivery.retries.to_string(), false)?;
        put("upstash-timeout", &delivery.timeout, false)?;
        put("upstash-forward-authorization", &bearer, true)?;
        if let Some(path) = &delivery.failure_callback {
            let callback = format!("{}{path}", self.public_url);
            put("upstash-failure-callback", &callback, false)?;
            let forward = "upstash-failure-callback-forward-authorization";
            put(forward, &bearer, true)?;
        }
        if delivery.redact_authorization {
            let redacted = "header[Authorization]";
            put("upstash-redact-fields", redacted, false)?;
        }
        Ok(headers)
    }
}
