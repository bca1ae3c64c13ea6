//! Removes our secrets from texts of other services: the answer to a failed
//! delivery, what `doctor` quotes.
//!
//! Hides every secret that is configured, and anything after the word
//! `Bearer`, because a text that was cut off may hold half a secret.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Guard, Settings};
use crate::database::PasswordFile;

/// Replaces a secret.
const HIDDEN: &str = "[secret]";

/// A shorter secret may be a common word, which would be hidden everywhere.
const SHORTEST: usize = 8;

impl Guard {
    /// `text` without the secrets that callers authenticate with.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let keys = self.verification.iter().flat_map(|it| it.keys.all());
        let keys = keys.flat_map(|(_, keys)| [&keys.current, &keys.next]);
        let own = [Some(&self.cron_secret), self.cron_secret_previous.as_ref()];
        let own = own.into_iter().chain([self.operator_secret.as_ref()]);
        let secrets = own.flatten().chain(keys);
        redact(text, secrets.map(SecretString::expose_secret))
    }
}

impl Settings {
    /// `text` without any secret among the settings.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let named = |name: &str| {
            let kinds = ["SECRET", "SECRET_PREVIOUS", "_KEY", "_TOKEN", "_PASSWORD"];
            kinds.iter().any(|kind| name.ends_with(kind))
        };
        let secrets = self.all().filter(|(name, _)| named(name));
        let addresses = self.all().filter_map(|(_, value)| Url::parse(value).ok());
        let passwords: Vec<String> = addresses
            .filter_map(|url| Some(url.password()?.to_owned()))
            .collect();
        let in_file = self.raw(super::database::PASSWORD_FILE);
        let in_file = in_file.and_then(|path| PasswordFile::new(path.trim()).read().ok());
        let passwords = passwords.iter().chain(&in_file).map(String::as_str);
        let secrets = secrets.map(|(_, value)| value.trim());
        redact(text, secrets.chain(passwords))
    }
}

fn redact<'s>(text: &str, secrets: impl Iterator<Item = &'s str>) -> String {
    let mut shown = text.to_owned();
    for secret in secrets.filter(|secret| secret.len() >= SHORTEST) {
        shown = shown.replace(secret, HIDDEN);
    }
    without_bearers(&shown)
}

fn without_bearers(text: &str) -> String {
    const SCHEME: &str = "bearer ";
    let lower = text.to_ascii_lowercase();
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(at) = lower[from..].find(SCHEME) {
        let begin = from + at + SCHEME.len();
        let ends = |c: char| c.is_whitespace() || "\"'\\,;<>{}()".contains(c);
        let length = text[begin..].find(ends).unwrap_or(text.len() - begin);
        shown.push_str(&text[from..begin]);
        shown.push_str(if length == 0 { "" } else { HIDDEN });
        from = begin + length;
    }
    shown.push_str(&text[from..]);
    shown
}
