//! Whether a listed `Authorization` is ours, without showing either.
//!
//! A redacted value is listed as a SHA-256; of exactly which bytes is
//! documented nowhere. It is compared with the hashes of every likely text.
//! Once one of them matches in any of our schedules, the hashed text is known,
//! and another hash is another secret. Until then another hash is no
//! difference.

use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::Wanted;
use crate::qstash::client::{HeaderText, Listed};

/// What is known about the secret.
pub(super) struct Secret<'a> {
    previous: Option<&'a SecretString>,
    /// Which of [`forms`] QStash hashes, once it is known.
    form: Option<usize>,
}

/// Which secret a listed value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// `CRON_SECRET`.
    Current,
    /// `CRON_SECRET_PREVIOUS`.
    Previous,
    /// Another value.
    Other,
    /// A hash that cannot be compared.
    Unknown,
}

impl<'a> Secret<'a> {
    /// Looks for a hash that can be recognised.
    pub(super) fn seen_in(
        wanted: &[Wanted],
        listed: &[Listed],
        previous: Option<&'a SecretString>,
    ) -> Self {
        let before = previous.map(bearer);
        let hashes: Vec<&str> = listed.iter().flat_map(hashes).collect();
        let bearers = wanted
            .iter()
            .map(|wanted| wanted.bearer.expose_secret())
            .chain(before.as_deref());
        let form = bearers.into_iter().find_map(|bearer| {
            let known = forms(bearer);
            known
                .iter()
                .position(|form| hashes.contains(&hash(form).as_str()))
        });
        Self { previous, form }
    }

    /// Which secret the value is.
    pub(super) fn verdict(&self, value: &HeaderText, ours: &SecretString) -> Verdict {
        let ours = ours.expose_secret();
        let previous = self.previous.map(bearer);
        let is = |bearer: &str| match value {
            HeaderText::Clear(text) => text == bearer,
            HeaderText::Redacted(known) => forms(bearer).iter().any(|form| hash(form) == *known),
        };
        if is(ours) {
            Verdict::Current
        } else if previous.as_deref().is_some_and(is) {
            Verdict::Previous
        } else if matches!(value, HeaderText::Clear(_)) || self.form.is_some() {
            Verdict::Other
        } else {
            Verdict::Unknown
        }
    }
}

/// The redacted values of a schedule.
fn hashes(listed: &Listed) -> impl Iterator<Item = &str> {
    [&listed.headers, &listed.failure_callback_headers]
        .into_iter()
        .flatten()
        .filter_map(|headers| match headers.get("authorization") {
            Some(HeaderText::Redacted(hash)) => Some(hash.as_str()),
            _ => None,
        })
}

/// The texts that QStash may hash, the likeliest first.
fn forms(bearer: &str) -> [String; 4] {
    let secret = bearer.trim_start_matches("Bearer ");
    [
        bearer.to_owned(),
        secret.to_owned(),
        json!([bearer]).to_string(),
        format!("Authorization: {bearer}"),
    ]
}

fn bearer(secret: &SecretString) -> String {
    format!("Bearer {}", secret.expose_secret())
}

/// The SHA-256 of a text, in hex.
pub(super) fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}
