//! The raw counts of one gym over two weeks, from which a report is made.

use chrono::{DateTime, Utc};

use super::metrics::{AtRisk, Levels, Sentiment, Topic};

/// This week's and last week's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pair<T> {
    /// Of the week that is reported.
    pub this: T,
    /// Of the week before.
    pub last: T,
}

/// The raw numbers of one gym.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// Visits of both weeks, by the half hour they began in.
    pub half_hours: Vec<(DateTime<Utc>, i64)>,
    /// Members that came.
    pub visitors: Pair<i64>,
    /// Members that joined.
    pub joined: Pair<i64>,
    /// Members that left.
    pub gone: Pair<i64>,
    /// Members when the week ended.
    pub members: Pair<i64>,
    /// Conversations.
    pub conversations: Pair<i64>,
    /// Their mean sentiment.
    pub mood: Pair<Option<f64>>,
    /// How this week's went.
    pub sentiment: Sentiment,
    /// What they were about.
    pub topics: Vec<Topic>,
    /// Members by level of risk, where any was scored.
    pub levels: Pair<Option<Levels>>,
    /// The members most at risk.
    pub at_risk: Vec<AtRisk>,
    /// The share of opening time in which the kiosks were heard.
    pub uptime: Pair<Option<f64>>,
    /// Alerts open at the end.
    pub alerts: Pair<i64>,
}
