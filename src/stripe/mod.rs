//! Stripe: the three calls this service needs, with typed outcomes.
//!
//! Promises that a secret key travels only over https or to this machine,
//! that `STRIPE_MAX_RPS` calls a second leave this process, a
//! quarter of them at once at the most, and
//! that a call is repeated only when repeating it is safe: with the same
//! idempotency key, within one attempt. What an answer means for an order is
//! the jobs' business.
//!
//! Sources: <https://docs.stripe.com/api/payment_intents>,
//! <https://docs.stripe.com/api/errors>,
//! <https://docs.stripe.com/api/idempotent_requests>,
//! <https://docs.stripe.com/rate-limits>.

use std::num::NonZeroU32;
use std::sync::Arc;

use backon::Retryable;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::outbound::{self, LONGEST_PAUSE, MayBegin, TIMEOUT};

mod answer;

pub use answer::{Failure, Intent};

/// The API version our reading of the answers was written for:
/// <https://docs.stripe.com/api/versioning>.
const VERSION: &str = "2026-09-30.endive";

/// What it takes to call Stripe.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A secret or restricted key; without one every call is [`Failure::Denied`].
    pub key: Option<SecretString>,
    /// The address of the API, without a trailing slash.
    pub base: Url,
    /// Calls per second of this process.
    pub max_rps: NonZeroU32,
    /// The `cancellation_reason` that is sent, if any.
    pub cancellation_reason: Option<String>,
}

/// A client of Stripe; clones share their connections and rate limit.
#[derive(Debug, Clone)]
pub struct Stripe {
    http: reqwest::Client,
    settings: Arc<Settings>,
    bucket: Arc<DefaultDirectRateLimiter>,
}

impl Stripe {
    /// A client with these settings.
    ///
    /// # Errors
    /// When the TLS stack cannot be set up.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        let burst = NonZeroU32::new(settings.max_rps.get() / 4).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(settings.max_rps).allow_burst(burst);
        let bucket = RateLimiter::direct(quota);
        Ok(Self {
            http: outbound::client(TIMEOUT)?,
            settings: Arc::new(settings),
            bucket: Arc::new(bucket),
        })
    }

    /// `GET /v1/payment_intents/{id}`: the truth about an intent.
    ///
    /// # Errors
    /// What Stripe, or the way to it, said instead.
    pub async fn retrieve(&self, id: &str, may_begin: MayBegin<'_>) -> Result<Intent, Failure> {
        let body = self
            .call(Method::GET, &["payment_intents", id], None, may_begin)
            .await?;
        answer::intent(&body)
    }

    /// `POST /v1/payment_intents/{id}/cancel`. `attempt` is the number of
    /// cancels tried before: it makes the idempotency key new, because Stripe
    /// replays a stored refusal for a day.
    ///
    /// # Errors
    /// [`Failure::Refused`] with the intent's true state when it had moved on.
    pub async fn cancel(
        &self,
        id: &str,
        attempt: i32,
        may_begin: MayBegin<'_>,
    ) -> Result<Intent, Failure> {
        let key = format!("jarvis-cron:cancel:{id}:{attempt}");
        let path = ["payment_intents", id, "cancel"];
        answer::intent(&self.call(Method::POST, &path, Some(key), may_begin).await?)
    }

    /// `POST /v1/checkout/sessions/{id}/expire`: ends the session, and with
    /// it the intent it owns, which Stripe does not let us cancel directly.
    ///
    /// # Errors
    /// [`Failure::Refused`] when the session is no longer open.
    pub async fn expire_session(
        &self,
        id: &str,
        attempt: i32,
        may_begin: MayBegin<'_>,
    ) -> Result<(), Failure> {
        let key = format!("jarvis-cron:expire:{id}:{attempt}");
        let path = ["checkout", "sessions", id, "expire"];
        self.call(Method::POST, &path, Some(key), may_begin)
            .await
            .map(drop)
    }

    /// One call and its repetitions; `idempotency_key` marks it as a write.
    async fn call(
        &self,
        method: Method,
        path: &[&str],
        idempotency_key: Option<String>,
        may_begin: MayBegin<'_>,
    ) -> Result<String, Failure> {
        (|| self.call_once(&method, path, idempotency_key.as_deref(), may_begin))
            .retry(outbound::backoff())
            .when(|failure| failure.may_be_retried(LONGEST_PAUSE) && may_begin())
            .adjust(|failure, pause| pause.map(|pause| failure.retry_after().unwrap_or(pause)))
            .await
    }

    async fn call_once(
        &self,
        method: &Method,
        path: &[&str],
        idempotency_key: Option<&str>,
        may_begin: MayBegin<'_>,
    ) -> Result<String, Failure> {
        let Some(key) = &self.settings.key else {
            return Err(Failure::Denied {
                status: 401,
                message: "STRIPE_SECRET_KEY is not set".into(),
            });
        };
        self.bucket.until_ready().await;
        if !may_begin() {
            return Err(Failure::NoTime);
        }
        let mut request = self
            .http
            .request(method.clone(), self.url(path))
            .bearer_auth(key.expose_secret())
            .header("Stripe-Version", VERSION);
        if let Some(idempotency_key) = idempotency_key {
            request = request.header("Idempotency-Key", idempotency_key);
            if let ["payment_intents", ..] = path {
                let reason = self.settings.cancellation_reason.as_deref();
                request = request.form(&reason.map(|reason| [("cancellation_reason", reason)]));
            }
        }
        answer::read(request.send().await).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.settings.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        url
    }
}
