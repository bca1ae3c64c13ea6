//! Why a member is at risk: the factors of their score that weigh most.
//!
//! Owns which of the factors that `daily-churn-analysis` stores are shown, and
//! that no report stores them. What is not known here is left out: another
//! version may have written it. What they say in words is in [`super::i18n`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many are shown.
const SHOWN: usize = 3;

/// One reason: what was seen, and what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Reason {
    /// What it is about.
    pub code: Code,
    /// What was seen.
    pub value: f64,
    /// What is usual, or how many there are in all.
    pub usual: f64,
}

/// What a reason is about, as the churn model names its signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Days between visits.
    UsualGap,
    /// Days since the last visit.
    Absence,
    /// Visits of the last four weeks.
    Trend,
    /// Months of membership.
    Tenure,
    /// Days until the contract ends.
    ContractEnd,
    /// Negative conversations.
    NegativeConversations,
}

/// A factor as it is stored.
#[derive(Deserialize)]
struct Factor {
    code: Code,
    #[serde(default)]
    value: f64,
    #[serde(default)]
    usual: Option<f64>,
    points: f64,
}

/// The factors that speak most for a departure, the strongest first.
#[must_use]
pub fn strongest(factors: &Value) -> Vec<Reason> {
    let factors = factors.as_array().into_iter().flatten();
    let known = factors.filter_map(|factor| Factor::deserialize(factor).ok());
    let mut known: Vec<Factor> = known.filter(|factor| factor.points > 0.0).collect();
    known.sort_by(|a, b| b.points.total_cmp(&a.points));
    let reason = |factor: Factor| Reason {
        code: factor.code,
        value: factor.value,
        usual: factor.usual.unwrap_or_default(),
    };
    known.into_iter().take(SHOWN).map(reason).collect()
}
