//! What a report says in numbers, as it is stored.
//!
//! Owns the shape of `weekly_reports.metrics` and how a number becomes a
//! figure with last week's and the change. Holds ids and never names. Numbers
//! with fractions are rounded, so that the same week always gives the same
//! bytes, and so the same hash.

use chrono::{DateTime, Datelike, Timelike, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::counts::{AtRisk, Levels, Sentiment, ThisAndLast, Topic, WeekCounts};
use super::week::Week;

/// A number, last week's, and how it changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure<T> {
    /// This week's; null when unknown.
    pub value: Option<T>,
    /// Last week's.
    pub previous: Option<T>,
    /// `(value - previous) / previous`, null when `previous` is 0 or unknown;
    /// for a mean or a share the plain difference.
    pub change: Option<f64>,
}

/// All numbers of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Visits.
    pub visits: Figure<i64>,
    /// How many members came.
    pub unique_visitors: Figure<i64>,
    /// Who joined.
    pub new_members: Figure<i64>,
    /// Who left.
    pub lost_members: Figure<i64>,
    /// The first less the second.
    pub net_members: Figure<i64>,
    /// Who was a member when the week ended.
    pub active_members: Figure<i64>,
    /// Conversations with the assistant that began.
    pub conversations: Figure<i64>,
    /// Their mean sentiment, from -1 to 1.
    pub avg_sentiment: Figure<f64>,
    /// Members at level high on the week's last scored day.
    pub churn_high: Figure<i64>,
    /// Members at level critical on that day.
    pub churn_critical: Figure<i64>,
    /// The share of opening time in which the kiosks sent heartbeats, 0 to 1.
    pub kiosk_uptime: Figure<f64>,
    /// Alerts that were open when the week ended.
    pub open_alerts: Figure<i64>,
    /// Visits of each day, Monday first.
    pub visits_by_day: Vec<Figure<i64>>,
    /// Visits of each hour of each day: seven days of 24 hours, local time.
    pub visits_by_hour: Vec<Vec<i64>>,
    /// How the conversations went.
    pub sentiment: Sentiment,
    /// The topics that came up most, at most five.
    pub top_topics: Vec<Topic>,
    /// Members at each level on the last scored day; null when none was.
    pub churn_levels: Option<Levels>,
    /// The members most at risk, at most ten; `churn_high` and
    /// `churn_critical` count all.
    pub at_risk: Vec<AtRisk>,
}

impl Metrics {
    /// The numbers of `week` in a gym whose clocks run by `zone`.
    #[must_use]
    pub fn of(counts: WeekCounts, week: &Week, zone: Tz) -> Self {
        let levels = |pick: fn(&Levels) -> i64| {
            let members = |levels: Option<Levels>| levels.as_ref().map(pick);
            Figure::relative(counts.levels.map(members))
        };
        let (by_day, by_hour) = calendar(&counts.half_hours, week, zone);
        Self {
            visits: Figure::of(sum(&by_day)),
            unique_visitors: Figure::of(counts.visitors),
            new_members: Figure::of(counts.joined),
            lost_members: Figure::of(counts.gone),
            net_members: Figure::of(ThisAndLast::new(
                counts.joined.this - counts.gone.this,
                counts.joined.last - counts.gone.last,
            )),
            active_members: Figure::of(counts.members),
            conversations: Figure::of(counts.conversations),
            avg_sentiment: Figure::plain(counts.mood, 3),
            churn_high: levels(|levels| levels.high),
            churn_critical: levels(|levels| levels.critical),
            kiosk_uptime: Figure::plain(counts.uptime, 4),
            open_alerts: Figure::of(counts.alerts),
            visits_by_day: by_day.into_iter().map(Figure::of).collect(),
            visits_by_hour: by_hour,
            sentiment: counts.sentiment,
            top_topics: counts.topics,
            churn_levels: counts.levels.this,
            at_risk: counts.at_risk,
        }
    }

    /// Whether there was no visit and no conversation.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.visits.value == Some(0) && self.conversations.value == Some(0)
    }

    /// All members at level high or critical; `None` when none was scored.
    #[must_use]
    pub fn at_risk_in_all(&self) -> ThisAndLast<Option<i64>> {
        let sum = |high: Option<i64>, critical: Option<i64>| Some(high? + critical?);
        ThisAndLast::new(
            sum(self.churn_high.value, self.churn_critical.value),
            sum(self.churn_high.previous, self.churn_critical.previous),
        )
    }

    /// The hour that most visits began in: the day from 0 for Monday, the
    /// hour, and how many; `None` without a visit.
    #[must_use]
    pub fn peak(&self) -> Option<(usize, usize, i64)> {
        let days = self.visits_by_hour.iter().enumerate();
        let hours = days.flat_map(|(day, hours)| {
            let hours = hours.iter().enumerate();
            hours.map(move |(hour, visits)| (day, hour, *visits))
        });
        // Of equals the first one, so that it is always the same.
        hours
            .filter(|(_, _, visits)| *visits > 0)
            .reduce(|most, hour| if hour.2 > most.2 { hour } else { most })
    }
}

impl Figure<i64> {
    /// A count, with its relative change.
    #[must_use]
    pub fn of(counts: ThisAndLast<i64>) -> Self {
        Self::relative(counts.map(Some))
    }

    fn relative(counts: ThisAndLast<Option<i64>>) -> Self {
        let ThisAndLast { this, last } = counts;
        let change = this.zip(last).filter(|(_, last)| *last != 0);
        Self {
            value: this,
            previous: last,
            change: change.map(|(this, last)| rounded(real(this - last) / real(last), 4)),
        }
    }
}

impl Figure<f64> {
    /// A mean or a share, with its plain difference.
    fn plain(means: ThisAndLast<Option<f64>>, places: i32) -> Self {
        let ThisAndLast { this, last } =
            means.map(|mean| mean.map(|number| rounded(number, places)));
        Self {
            value: this,
            previous: last,
            change: this
                .zip(last)
                .map(|(this, last)| rounded(this - last, places)),
        }
    }
}

/// Rounds to so many places; zero has no minus.
pub(crate) fn rounded(number: f64, places: i32) -> f64 {
    let unit = 10_f64.powi(places);
    (number * unit).round() / unit + 0.0
}

/// A count as a number with fractions.
#[expect(
    clippy::cast_precision_loss,
    reason = "no gym has 2^52 visits in a week"
)]
pub(crate) fn real(count: i64) -> f64 {
    count as f64
}

type Calendar = (Vec<ThisAndLast<i64>>, Vec<Vec<i64>>);

/// Visits by day of both weeks, and by hour of this one, as the gym's clocks
/// showed them; an hour that autumn repeats holds both.
fn calendar(half_hours: &[(DateTime<Utc>, i64)], week: &Week, zone: Tz) -> Calendar {
    let mut by_day = vec![ThisAndLast::default(); 7];
    let mut by_hour = vec![vec![0; 24]; 7];
    for (at, visits) in half_hours {
        let local = at.with_timezone(&zone);
        let day = local.weekday().num_days_from_monday() as usize;
        if *at < week.starts {
            by_day[day].last += visits;
        } else {
            by_day[day].this += visits;
            by_hour[day][local.hour() as usize] += visits;
        }
    }
    (by_day, by_hour)
}

fn sum(days: &[ThisAndLast<i64>]) -> ThisAndLast<i64> {
    ThisAndLast::new(
        days.iter().map(|day| day.this).sum(),
        days.iter().map(|day| day.last).sum(),
    )
}
