//! What is said of a member: a level, and where there is a score, why.
//!
//! Pure. A level rises at its cut and falls only once the score is
//! [`HYSTERESIS`] below it, so that a score that wavers around a cut does not
//! open and resolve an alert every night.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::model::{Facts, SIGNALS, Weights, probability};

/// From which score on a member is medium, high, critical.
const CUTS: [f64; 3] = [0.25, 0.5, 0.75];
/// How far below its cut a score must fall to lose its level.
const HYSTERESIS: f64 = 0.05;
/// For so many days, who came only once is not called critical: little is
/// known of them, and that alone is no alarm.
const YOUNG_DAYS: i32 = 30;

/// The level of risk of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Level {
    /// Too new to be judged.
    New,
    /// Joined a while ago and never came.
    NeverVisited,
    /// Below 0.25.
    Low,
    /// From 0.25.
    Medium,
    /// From 0.5.
    High,
    /// From 0.75.
    Critical,
}

/// One reason, as it is stored: a code and numbers; words are made from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Factor {
    /// One of [`SIGNALS`], or `intercept`.
    pub code: Cow<'static, str>,
    /// What was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual: Option<f64>,
    /// What it adds to the log-odds.
    pub points: f64,
    /// The same in English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What is said of one member.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The probability of no visit in thirty days, as `real` keeps it; none
    /// for the new and for those who never visited.
    pub score: Option<f32>,
    /// The level.
    pub level: Level,
    /// The reasons, the biggest first and the intercept last; their points
    /// add up to the log-odds of the score.
    pub factors: Vec<Factor>,
}

impl Verdict {
    /// Judges a member; `None` of one who is not here yet. Of whom something
    /// was said before, when they were, it is said that they are new.
    #[must_use]
    pub fn of(
        facts: &Facts,
        weights: &Weights,
        gap_of_gym: f64,
        previous: Option<Level>,
    ) -> Option<Self> {
        if facts.visits == 0 && facts.member_for() < 0 {
            return previous.map(|_| Self::without_score(Level::New));
        }
        if !facts.have_a_score() {
            let is_new = facts.are_new();
            return Some(Self::without_score(if is_new {
                Level::New
            } else {
                Level::NeverVisited
            }));
        }
        let signals = facts.signals(gap_of_gym);
        #[expect(clippy::cast_possible_truncation, reason = "the column is real")]
        let score = probability(weights.log_odds(&signals)) as f32;
        let mut level = Level::at(score.into(), previous);
        if facts.visits < 2 && facts.member_for() < YOUNG_DAYS {
            level = level.min(Level::High);
        }
        Some(Self {
            score: Some(score),
            level,
            factors: factors(facts, weights, gap_of_gym),
        })
    }

    /// Holds the level, where there is one to hold and a score to hold it for.
    pub fn stay_at(&mut self, level: Option<Level>) {
        let fits = |level: &Level| (*level >= Level::Low) == self.score.is_some();
        self.level = level.filter(fits).unwrap_or(self.level);
    }

    fn without_score(level: Level) -> Self {
        Self {
            score: None,
            level,
            factors: Vec::new(),
        }
    }
}

impl Level {
    /// The level of a score, given the one before.
    #[must_use]
    pub fn at(score: f64, previous: Option<Self>) -> Self {
        let held = Self::cut(score + HYSTERESIS);
        let previous = previous.unwrap_or(Self::Low);
        Self::cut(score).max(held.min(previous))
    }

    /// Whether an alert is raised.
    #[must_use]
    pub fn is_at_risk(self) -> bool {
        self >= Self::High
    }

    fn cut(score: f64) -> Self {
        match CUTS.iter().filter(|cut| score >= **cut).count() {
            0 => Self::Low,
            1 => Self::Medium,
            2 => Self::High,
            _ => Self::Critical,
        }
    }
}

fn factors(facts: &Facts, weights: &Weights, gap_of_gym: f64) -> Vec<Factor> {
    let points = weights.points(&facts.signals(gap_of_gym));
    let values = values(facts, facts.usual_gap(gap_of_gym));
    let mut factors: Vec<Factor> = SIGNALS
        .into_iter()
        .zip(points)
        .zip(values)
        .filter(|((_, points), _)| *points != 0.0)
        .map(|((code, points), (value, usual, text))| Factor {
            code: code.into(),
            value: Some(value),
            usual,
            points,
            text: Some(text),
        })
        .collect();
    factors.sort_by(|a, b| b.points.total_cmp(&a.points));
    factors.push(Factor {
        code: "intercept".into(),
        value: None,
        usual: None,
        points: weights.intercept,
        text: None,
    });
    factors
}

/// Value, comparison and sentence of each signal.
fn values(facts: &Facts, gap: f64) -> [(f64, Option<f64>, String); 6] {
    let one_decimal = |number: f64| (number * 10.0).round() / 10.0;
    let (gap, months) = (one_decimal(gap), one_decimal(facts.months()));
    let expected = one_decimal(facts.expected().unwrap_or_default());
    let Facts {
        last_ago,
        recent,
        conversations,
        negative,
        ..
    } = *facts;
    let ends_in = facts.ends_in.unwrap_or_default();
    [
        (gap, None, format!("comes every {gap} days")),
        (
            last_ago.into(),
            Some(gap),
            format!(
                "no visit for {}, usually every {}",
                days(last_ago),
                gap.round().max(1.0)
            ),
        ),
        (
            recent.into(),
            Some(expected),
            format!("{recent} visits in the last four weeks, {expected} usually"),
        ),
        (
            months,
            None,
            format!("a member for {} months", months.round()),
        ),
        (
            ends_in.into(),
            None,
            format!("the contract ends in {}", days(ends_in)),
        ),
        (
            negative.into(),
            Some(conversations.into()),
            format!("{negative} of {conversations} conversations were negative"),
        ),
    ]
}

fn days(count: i32) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} day{plural}")
}
