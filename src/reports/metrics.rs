//! What a report says in numbers, as it is stored.
//!
//! Owns the shape of `weekly_reports.metrics` and how a number becomes a
//! figure with last week's and the change. Holds ids and never names. Numbers
//! with fractions are rounded, so that the same week always gives the same
//! bytes, and so the same hash.

use chrono::{DateTime, Datelike, Timelike, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::counts::{Counted, Pair};
use super::week::Week;

/// A number, last week's, and how it changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure<T> {
    /// This week's; null when nobody can know.
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
    /// How often somebody came.
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
    /// The share of opening time in which the kiosks were heard, from 0 to 1.
    pub kiosk_uptime: Figure<f64>,
    /// Alerts that stood open when the week ended.
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

/// Conversations by how they went; those that nobody judged are in none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Sentiment {
    pub positive: i64,
    pub neutral: i64,
    pub negative: i64,
    pub mixed: i64,
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

impl Metrics {
    /// The numbers of `week` in a gym whose clocks run by `zone`.
    #[must_use]
    pub fn of(counted: Counted, week: &Week, zone: Tz) -> Self {
        let levels = |pick: fn(&Levels) -> i64| {
            let of_week = |levels: Option<Levels>| levels.map(|levels| pick(&levels));
            Figure::relative(Pair {
                this: of_week(counted.levels.this),
                last: of_week(counted.levels.last),
            })
        };
        let (by_day, by_hour) = calendar(&counted.half_hours, week, zone);
        Self {
            visits: Figure::of(sum(&by_day)),
            unique_visitors: Figure::of(counted.visitors),
            new_members: Figure::of(counted.joined),
            lost_members: Figure::of(counted.gone),
            net_members: Figure::of(Pair {
                this: counted.joined.this - counted.gone.this,
                last: counted.joined.last - counted.gone.last,
            }),
            active_members: Figure::of(counted.members),
            conversations: Figure::of(counted.conversations),
            avg_sentiment: Figure::plain(counted.mood, 3),
            churn_high: levels(|levels| levels.high),
            churn_critical: levels(|levels| levels.critical),
            kiosk_uptime: Figure::plain(counted.uptime, 4),
            open_alerts: Figure::of(counted.alerts),
            visits_by_day: by_day.into_iter().map(Figure::of).collect(),
            visits_by_hour: by_hour,
            sentiment: counted.sentiment,
            top_topics: counted.topics,
            churn_levels: counted.levels.this,
            at_risk: counted.at_risk,
        }
    }

    /// Whether nobody came and nobody talked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.visits.value == Some(0) && self.conversations.value == Some(0)
    }

    /// All members at level high or critical; `None` when none was scored.
    #[must_use]
    pub fn at_risk_in_all(&self) -> Pair<Option<i64>> {
        let sum = |high: Option<i64>, critical: Option<i64>| Some(high? + critical?);
        Pair {
            this: sum(self.churn_high.value, self.churn_critical.value),
            last: sum(self.churn_high.previous, self.churn_critical.previous),
        }
    }

    /// The hour that most visits began in: the day from 0 for Monday, the
    /// hour, and how many; `None` when nobody came.
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
    pub fn of(pair: Pair<i64>) -> Self {
        Self::relative(Pair {
            this: Some(pair.this),
            last: Some(pair.last),
        })
    }

    fn relative(pair: Pair<Option<i64>>) -> Self {
        let change = pair.this.zip(pair.last).filter(|(_, last)| *last != 0);
        Self {
            value: pair.this,
            previous: pair.last,
            change: change.map(|(this, last)| rounded(real(this - last) / real(last), 4)),
        }
    }
}

impl Figure<f64> {
    /// A mean or a share, with its plain difference.
    fn plain(pair: Pair<Option<f64>>, places: i32) -> Self {
        let this = pair.this.map(|number| rounded(number, places));
        let last = pair.last.map(|number| rounded(number, places));
        let change = this
            .zip(last)
            .map(|(this, last)| rounded(this - last, places));
        Self {
            value: this,
            previous: last,
            change,
        }
    }
}

/// Rounds to so many places; no minus stands before a nought.
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

type Calendar = (Vec<Pair<i64>>, Vec<Vec<i64>>);

/// Visits by day of both weeks, and by hour of this one, as the gym's clocks
/// showed them; an hour that autumn repeats holds both.
fn calendar(half_hours: &[(DateTime<Utc>, i64)], week: &Week, zone: Tz) -> Calendar {
    let mut by_day = vec![Pair::default(); 7];
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

fn sum(days: &[Pair<i64>]) -> Pair<i64> {
    Pair {
        this: days.iter().map(|day| day.this).sum(),
        last: days.iter().map(|day| day.last).sum(),
    }
}
