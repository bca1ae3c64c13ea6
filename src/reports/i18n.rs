//! A report in words: what its insights and recommendations say, in French
//! and English. The labels of the page are in [`labels`].

use super::insights::{Insight, Recommendation};

mod english;
mod french;
pub mod labels;

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

    /// What an insight says.
    #[must_use]
    pub fn insight(self, insight: &Insight) -> String {
        match self {
            Self::French => self.insight_in_french(insight),
            Self::English => self.insight_in_english(insight),
        }
    }

    /// What a recommendation says.
    #[must_use]
    pub fn recommendation(self, recommendation: &Recommendation) -> String {
        match self {
            Self::French => self.recommendation_in_french(recommendation),
            Self::English => self.recommendation_in_english(recommendation),
        }
    }
}

fn as_count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
