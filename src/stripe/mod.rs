//! Stripe: the four calls this service needs, with typed outcomes.
//!
//! Promises that a secret key travels only over https or to this machine,
//! that `STRIPE_MAX_RPS` calls a second leave this process, a
//! quarter of them at once at the most, and
//! that a call is repeated only when repeating it is safe: with the same
//! idempotency key, within one attempt. Each write is preceded by its caller's
//! [`LastLook`], also when it is repeated. What an answer means for an order is
//! the jobs' business.
//!
//! Sources: <https://docs.stripe.com/api/payment_intents>,
//! <https://docs.stripe.com/api/checkout/sessions>,
//! <https://docs.stripe.com/api/errors>,
//! <https://docs.stripe.com/api/idempotent_requests>,
//! <https://docs.stripe.com/rate-limits>.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backon::Retryable;
use futures::future::BoxFuture;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::foreign_text::ForeignText;
use crate::outbound::{self, LONGEST_PAUSE, MayBegin, TIMEOUT};

mod answer;
mod object;

pub use answer::Failure;
pub use object::{Intent, Session};

/// Whether a write is still wanted, asked when its turn has come.
pub type LastLook<'a> = &'a (dyn Fn() -> BoxFuture<'a, bool> + Sync);

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

/// What makes a call a write.
struct Write<'a> {
    idempotency_key: String,
    last_look: LastLook<'a>,
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
        let path = ["payment_intents", id];
        object::read(self.call(Method::GET, &path, None, may_begin).await, id)
    }

    /// `GET /v1/checkout/sessions/{id}`: the truth about a session.
    ///
    /// # Errors
    /// What Stripe, or the way to it, said instead.
    pub async fn retrieve_session(
        &self,
        id: &str,
        may_begin: MayBegin<'_>,
    ) -> Result<Session, Failure> {
        let path = ["checkout", "sessions", id];
        object::read(self.call(Method::GET, &path, None, may_begin).await, id)
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
        last_look: LastLook<'_>,
    ) -> Result<Intent, Failure> {
        let write = Write {
            idempotency_key: format!("jarvis-cron:cancel:{id}:{attempt}"),
            last_look,
        };
        let path = ["payment_intents", id, "cancel"];
        let answer = self.call(Method::POST, &path, Some(write), may_begin).await;
        object::read(answer, id)
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
        last_look: LastLook<'_>,
    ) -> Result<Session, Failure> {
        let write = Write {
            idempotency_key: format!("jarvis-cron:expire:{id}:{attempt}"),
            last_look,
        };
        let path = ["checkout", "sessions", id, "expire"];
        let answer = self.call(Method::POST, &path, Some(write), may_begin).await;
        object::read(answer, id)
    }

    /// One call and its repetitions.
    async fn call(
        &self,
        method: Method,
        path: &[&str],
        write: Option<Write<'_>>,
        may_begin: MayBegin<'_>,
    ) -> Result<String, Failure> {
        let was_sent = AtomicBool::new(false);
        let once = || async {
            let request = self.turn(&method, path, write.as_ref(), may_begin).await;
            // What became of a call that was sent before is unknown.
            let request = request.map_err(|failure| match failure {
                Failure::NoTime | Failure::Withdrawn if was_sent.load(Ordering::Relaxed) => {
                    Failure::Unavailable {
                        message: ForeignText::new(&format!("the call was not repeated: {failure}")),
                        retry: false,
                        retry_after: None,
                    }
                }
                failure => failure,
            })?;
            was_sent.store(true, Ordering::Relaxed);
            answer::read(request.send().await).await
        };
        once.retry(outbound::backoff())
            .when(|failure| failure.may_be_retried(LONGEST_PAUSE) && may_begin())
            .adjust(|failure, pause| pause.map(|pause| failure.retry_after().unwrap_or(pause)))
            .await
    }

    /// Waits for the call's turn; then its caller is asked once more.
    async fn turn(
        &self,
        method: &Method,
        path: &[&str],
        write: Option<&Write<'_>>,
        may_begin: MayBegin<'_>,
    ) -> Result<reqwest::RequestBuilder, Failure> {
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
        let request = self
            .http
            .request(method.clone(), self.url(path))
            .bearer_auth(key.expose_secret())
            .header("Stripe-Version", VERSION);
        let Some(write) = write else {
            return Ok(request);
        };
        if !(write.last_look)().await {
            return Err(Failure::Withdrawn);
        }
        let request = request.header("Idempotency-Key", &write.idempotency_key);
        if path[0] != "payment_intents" {
            return Ok(request);
        }
        let reason = self.settings.cancellation_reason.as_deref();
        Ok(request.form(&reason.map(|reason| [("cancellation_reason", reason)])))
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.settings.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        url
    }
}
