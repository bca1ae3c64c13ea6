//! The raw counts of one gym over two weeks, from which a report is made.
//!
//! Owns what is counted, and the parts of it that a report stores as they
//! are. What the counts mean is [`super::metrics`]'s business.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// This week's and last week's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThisAndLast<T> {
    /// Of the week that is reported.
    pub this: T,
    /// Of the week before.
    pub last: T,
}

impl<T> ThisAndLast<T> {
    /// Both.
    #[must_use]
    pub fn new(this: T, last: T) -> Self {
        Self { this, last }
    }

    /// This week's, or last week's.
    pub fn of(&mut self, is_this: bool) -> &mut T {
        if is_this {
            &mut self.this
        } else {
            &mut self.last
        }
    }

    /// The same of each.
    #[must_use]
    pub fn map<U>(self, of: impl Fn(T) -> U) -> ThisAndLast<U> {
        ThisAndLast::new(of(self.this), of(self.last))
    }
}

/// The raw numbers of one gym.
#[derive(Debug, Clone, Default)]
pub struct WeekCounts {
    /// Visits of both weeks, by the half hour they began in.
    pub half_hours: Vec<(DateTime<Utc>, i64)>,
    /// Members who came.
    pub visitors: ThisAndLast<i64>,
    /// Members who joined.
    pub joined: ThisAndLast<i64>,
    /// Members who left.
    pub gone: ThisAndLast<i64>,
    /// Members when the week ended.
    pub members: ThisAndLast<i64>,
    /// Conversations.
    pub conversations: ThisAndLast<i64>,
    /// Their mean sentiment.
    pub mood: ThisAndLast<Option<f64>>,
    /// How this week's went.
    pub sentiment: Sentiment,
    /// What they were about.
    pub topics: Vec<Topic>,
    /// Members by level of risk, where any was scored.
    pub levels: ThisAndLast<Option<Levels>>,
    /// The members most at risk.
    pub at_risk: Vec<AtRisk>,
    /// The share of opening time in which the kiosks sent heartbeats.
    pub uptime: ThisAndLast<Option<f64>>,
    /// Alerts open at the end.
    pub alerts: ThisAndLast<i64>,
}

/// Conversations by how they went; those without a sentiment are in none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Sentiment {
    pub positive: i64,
    pub neutral: i64,
    pub negative: i64,
    pub mixed: i64,
}

impl Sentiment {
    /// Its parts, by their names.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, i64); 4] {
        [
            ("positive", self.positive),
            ("neutral", self.neutral),
            ("mixed", self.mixed),
            ("negative", self.negative),
        ]
    }
}

/// A topic, and in how many conversations it came up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// As the assistant named it.
    pub topic: String,
    /// Of the week.
    pub conversations: i64,
}

/// Members by their level of risk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Levels {
    pub low: i64,
    pub medium: i64,
    pub high: i64,
    pub critical: i64,
}

impl Levels {
    /// Its parts, by their names.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, i64); 4] {
        [
            ("low", self.low),
            ("medium", self.medium),
            ("high", self.high),
            ("critical", self.critical),
        ]
    }
}

/// A member at risk: an id, because a report outlives a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtRisk {
    /// The member; null once they were anonymised.
    pub member_id: Option<Uuid>,
    /// The probability of no visit in the next 30 days.
    pub score: f64,
    /// `high` or `critical`.
    pub level: String,
}
