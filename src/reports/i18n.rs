//! The languages of a report, French and English.
//!
//! Owns which language a reader gets, the labels ([`labels`]) and what
//! insights, recommendations and reasons say. How numbers and dates are written is
//! [`super::numbers`]'s business.

pub mod labels;
mod reasons;
mod texts;

/// A language that reports are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// As in France.
    French,
    /// As in Britain.
    English,
}

impl Language {
    /// The language of a locale such as `fr` or `en-US`; what is not French is
    /// written in English.
    #[must_use]
    pub fn of(locale: &str) -> Self {
        Self::named(locale.split('-').next().unwrap_or_default()).unwrap_or(Self::English)
    }

    /// The language of that code, `fr` or `en`.
    #[must_use]
    pub fn named(code: &str) -> Option<Self> {
        match code {
            "fr" => Some(Self::French),
            "en" => Some(Self::English),
            _ => None,
        }
    }

    /// Its code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.either("fr", "en")
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        self.either(Self::English, Self::French)
    }

    /// The first for French, the second for English.
    pub(crate) fn either<T>(self, french: T, english: T) -> T {
        match self {
            Self::French => french,
            Self::English => english,
        }
    }
}
