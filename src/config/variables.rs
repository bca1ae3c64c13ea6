//! The variables as they are: set, unset, or set wrongly.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use url::Url;

use crate::outbound;

/// The environment, as far as it is ours.
#[derive(Clone)]
pub struct Settings(BTreeMap<String, String>);

/// A wrong setting, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {hint}")]
pub struct Wrong {
    /// The variable.
    pub variable: String,
    /// The fault and the fix; never the value.
    pub hint: String,
}

/// Settings are read one after the other; the first wrong one is the error.
pub type Read<T> = Result<T, Wrong>;

impl Settings {
    /// The environment of this process.
    #[must_use]
    pub fn from_env() -> Self {
        Self(
            std::env::vars_os()
                // A value that is not UTF-8 is kept, so that its name is reported.
                .map(|(name, value)| (lossy(&name), lossy(&value)))
                .collect(),
        )
    }

    /// The same settings with some replaced: for the demo and for tests.
    #[must_use]
    pub fn with<N: Into<String>, V: Into<String>>(
        mut self,
        settings: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.0.extend(
            settings
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        self
    }

    /// The same settings with one unset.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Every variable that may be a setting, as it is.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// No settings at all.
    #[must_use]
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// The user at the command line, for the ledger.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        let user = self.raw("USER").filter(|user| !user.is_empty());
        user.map(str::to_owned)
    }

    /// Where PostgreSQL's server programs are, when `PG_BIN` says so.
    #[must_use]
    pub fn postgres_programs(&self) -> Option<&str> {
        self.raw("PG_BIN").filter(|path| !path.is_empty())
    }

    /// Where programs are looked for.
    #[must_use]
    pub fn path(&self) -> &str {
        self.raw("PATH").unwrap_or_default()
    }

    /// A variable as it is; for those in which empty means something.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A variable that may be unset; set but empty is wrong.
    pub(super) fn text(&self, name: &str) -> Read<Option<&str>> {
        match self.0.get(name).map(|value| value.trim()) {
            Some("") => Err(wrong(name, "is set but empty; give it a value or unset it")),
            Some(text) if text.contains(char::REPLACEMENT_CHARACTER) => Err(wrong(
                name,
                "is not UTF-8; give it another value or unset it",
            )),
            value => Ok(value),
        }
    }

    pub(super) fn required(&self, name: &str, example: &str) -> Read<&str> {
        self.text(name)?
            .ok_or_else(|| wrong(name, &format!("is not set; for example {example}")))
    }

    pub(super) fn number(
        &self,
        name: &str,
        default: u32,
        bounds: RangeInclusive<u32>,
    ) -> Read<u32> {
        let Some(text) = self.text(name)? else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| {
                let (least, most) = (bounds.start(), bounds.end());
                wrong(
                    name,
                    &format!("must be a whole number from {least} to {most}"),
                )
            })
    }

    /// Calls a second.
    pub(super) fn rate(&self, name: &str, default: u32, most: u32) -> Read<NonZeroU32> {
        let rate = self.number(name, default, 1..=most)?;
        Ok(NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN))
    }

    /// The address of a service that is sent `secret`: https, or this machine.
    pub(super) fn api(&self, name: &str, default: &str, secret: &str) -> Read<Url> {
        let base = self.url(name, default)?;
        if outbound::is_safe_for_secrets(&base) {
            return Ok(base);
        }
        Err(wrong(
            name,
            &format!(
                "must be an https address: over plain http the {secret} would travel in the clear (only this machine is excepted)"
            ),
        ))
    }

    /// An http or https address, its trailing slash cut off.
    pub(super) fn url(&self, name: &str, default: &str) -> Read<Url> {
        let hint = "must be an address such as https://cron.example.com, without a user or a query";
        let text = self.text(name)?.unwrap_or(default);
        let url: Url = text
            .trim_end_matches('/')
            .parse()
            .map_err(|_| wrong(name, hint))?;
        let is_plain = url.query().is_none()
            && url.fragment().is_none()
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none();
        if is_plain && matches!(url.scheme(), "http" | "https") {
            Ok(url)
        } else {
            Err(wrong(name, hint))
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

/// An error that names the variable and the fix.
pub(super) fn wrong(variable: &str, hint: &str) -> Wrong {
    Wrong {
        variable: variable.to_owned(),
        hint: hint.to_owned(),
    }
}
