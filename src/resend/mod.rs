//! Resend: sends one mail, with typed outcomes.
//!
//! Promises that the key travels only over https or to this machine, that
//! `RESEND_MAX_RPS` calls a second leave this process, and that a call is
//! repeated only with the same idempotency key. The jobs choose
//! recipients and content.
//!
//! Sources: <https://resend.com/docs/api-reference/emails/send-email>,
//! <https://resend.com/docs/api-reference/errors>,
//! <https://resend.com/docs/api-reference/rate-limit>,
//! <https://resend.com/docs/dashboard/emails/idempotency-keys>.

use std::num::NonZeroU32;
use std::sync::Arc;

use backon::Retryable;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use url::Url;

use crate::foreign_text::ForeignText;
use crate::outbound::{self, LONGEST_PAUSE, MayBegin, TIMEOUT};

mod answer;

pub use answer::{Failure, OUTAGE_LASTS};

/// The settings for sending mail.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Without a key no mail is sent.
    pub key: Option<SecretString>,
    /// The address of the API.
    pub base: Url,
    /// Who the mail is from, such as `JARVIS <reports@gym.example>`.
    pub from: String,
    /// Calls per second of this process.
    pub max_rps: NonZeroU32,
}

/// A mail to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The body as HTML.
    pub html: String,
    /// The same as plain text.
    pub text: String,
    /// At most 256 characters; Resend remembers it for a day.
    pub idempotency_key: String,
}

/// A client of Resend; clones share their connections and rate limit.
#[derive(Debug, Clone)]
pub struct Resend {
    http: reqwest::Client,
    settings: Arc<Settings>,
    bucket: Arc<DefaultDirectRateLimiter>,
}

impl Resend {
    /// A client with these settings.
    ///
    /// # Errors
    /// When the TLS stack cannot be set up.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        let quota = Quota::per_second(settings.max_rps).allow_burst(NonZeroU32::MIN);
        Ok(Self {
            http: outbound::client(TIMEOUT)?,
            settings: Arc::new(settings),
            bucket: Arc::new(RateLimiter::direct(quota)),
        })
    }

    /// Whether there is a key to send mail with.
    #[must_use]
    pub fn is_set_up(&self) -> bool {
        self.settings.key.is_some()
    }

    /// `POST /emails`; answers Resend's id of the mail.
    ///
    /// # Errors
    /// What Resend, or the way to it, said instead; [`Failure::is_unsure`]
    /// says whether it may have been sent all the same.
    pub async fn send(&self, mail: &Mail, may_begin: MayBegin<'_>) -> Result<ForeignText, Failure> {
        let mut was_unsure = false;
        let sent = (|| self.send_once(mail, may_begin))
            .retry(outbound::backoff())
            .when(|failure| failure.may_be_retried(LONGEST_PAUSE) && may_begin())
            .notify(|failure, _| was_unsure |= failure.is_unsure())
            .adjust(|failure, pause| pause.map(|pause| failure.retry_after().unwrap_or(pause)))
            .await;
        // A refusal does not undo an earlier try whose outcome is unknown.
        if was_unsure {
            return sent.map_err(Failure::unsure);
        }
        sent
    }

    async fn send_once(
        &self,
        mail: &Mail,
        may_begin: MayBegin<'_>,
    ) -> Result<ForeignText, Failure> {
        let Some(key) = &self.settings.key else {
            return Err(Failure::Denied("RESEND_API_KEY is not set".into()));
        };
        self.bucket.until_ready().await;
        if !may_begin() {
            return Err(Failure::NoTime);
        }
        let base = self.settings.base.as_str().trim_end_matches('/');
        let request = self
            .http
            .post(format!("{base}/emails"))
            .bearer_auth(key.expose_secret())
            .header("Idempotency-Key", &mail.idempotency_key)
            .json(&json!({
                "from": self.settings.from,
                "to": [mail.to],
                "subject": mail.subject,
                "html": mail.html,
                "text": mail.text,
            }));
        answer::read(request.send().await).await
    }
}
