//! What the numbers mean, and what to do about it: codes with their numbers.
//!
//! Owns the thresholds. The texts are made when the report is read, in the
//! reader's language, by [`super::i18n`].

use serde::{Deserialize, Serialize};

use super::metrics::Metrics;

/// How much visits have to change to be worth a sentence.
const VISITS_MOVED: f64 = 0.1;
/// The mean sentiment above which people are pleased, and below which not.
const PLEASED: f64 = 0.3;
const DISPLEASED: f64 = -0.1;
/// The share of opening time below which kiosks were down too long.
const UPTIME_LOW: f64 = 0.95;
/// Visits of an hour from which on it is a peak worth staffing.
const CROWDED: i64 = 5;

/// Something the numbers say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it; shares are from 0 to 1")]
pub enum Insight {
    /// No visit and no conversation.
    EmptyWeek,
    /// More visits than the week before.
    VisitsUp { change: f64 },
    /// Fewer visits.
    VisitsDown { change: f64 },
    /// The busiest hour; `weekday` from 1 for Monday.
    PeakHour {
        weekday: usize,
        hour: usize,
        visits: i64,
    },
    /// People are pleased with the assistant.
    SentimentPositive { value: f64 },
    /// They are not.
    SentimentNegative { value: f64 },
    /// More members at level high or critical than the week before.
    MoreAtRisk { value: i64, previous: i64 },
    /// Fewer of them.
    FewerAtRisk { value: i64, previous: i64 },
    /// Kiosks were down too long.
    KioskUptimeLow { value: f64 },
    /// More members left than joined.
    MembersLost { net: i64 },
    /// More members joined than left.
    MembersGained { net: i64 },
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Recommendation {
    /// Do the badge readers work?
    CheckReaders,
    /// Call the members at risk: so many are listed, of so many in all.
    CallMembers { listed: usize, total: i64 },
    /// Do the kiosks have power and a network?
    CheckKiosks { uptime: f64 },
    /// Read what members complained of.
    ReadConversations { negative: i64 },
    /// Ask those who left why.
    AskLeavers { lost: i64 },
    /// Win back those who stopped coming.
    InviteBack { change: f64 },
    /// Have a member of staff there at the busiest hour.
    StaffPeak { weekday: usize, hour: usize },
    /// Deal with the alerts that are open.
    CloseAlerts { open: i64 },
    /// Nothing is wrong.
    KeepGoing,
}

/// What the numbers say, the most important first.
#[must_use]
pub fn insights(metrics: &Metrics) -> Vec<Insight> {
    let at_risk = metrics.at_risk_in_all();
    let mood = metrics.avg_sentiment.value;
    [
        metrics.is_empty().then_some(Insight::EmptyWeek),
        metrics.visits.change.and_then(|change| match change {
            change if change > VISITS_MOVED => Some(Insight::VisitsUp { change }),
            change if change < -VISITS_MOVED && !metrics.is_empty() => {
                Some(Insight::VisitsDown { change })
            }
            _ => None,
        }),
        metrics.net_members.value.and_then(|net| match net {
            ..0 => Some(Insight::MembersLost { net }),
            0 => None,
            1.. => Some(Insight::MembersGained { net }),
        }),
        at_risk
            .this
            .zip(at_risk.last)
            .and_then(|(value, previous)| match value.cmp(&previous) {
                std::cmp::Ordering::Greater => Some(Insight::MoreAtRisk { value, previous }),
                std::cmp::Ordering::Less => Some(Insight::FewerAtRisk { value, previous }),
                std::cmp::Ordering::Equal => None,
            }),
        metrics.peak().map(|(day, hour, visits)| Insight::PeakHour {
            weekday: day + 1,
            hour,
            visits,
        }),
        mood.filter(|value| *value > PLEASED)
            .map(|value| Insight::SentimentPositive { value }),
        mood.filter(|value| *value < DISPLEASED)
            .map(|value| Insight::SentimentNegative { value }),
        low_uptime(metrics).map(|value| Insight::KioskUptimeLow { value }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What to do about it, the most urgent first.
#[must_use]
pub fn recommendations(metrics: &Metrics) -> Vec<Recommendation> {
    let listed = metrics.at_risk.len();
    let total = metrics.at_risk_in_all().this.unwrap_or_default();
    let negative = metrics.sentiment.negative;
    let lost = metrics.lost_members.value.unwrap_or_default();
    let gone_down = metrics
        .visits
        .change
        .filter(|change| *change < -VISITS_MOVED);
    let open = metrics.open_alerts.value.unwrap_or_default();
    let mood = metrics.avg_sentiment.value;
    let mut advice: Vec<Recommendation> = [
        metrics.is_empty().then_some(Recommendation::CheckReaders),
        (listed > 0).then_some(Recommendation::CallMembers { listed, total }),
        low_uptime(metrics).map(|uptime| Recommendation::CheckKiosks { uptime }),
        mood.filter(|mood| *mood < DISPLEASED && negative > 0)
            .map(|_| Recommendation::ReadConversations { negative }),
        (metrics.net_members.value < Some(0)).then_some(Recommendation::AskLeavers { lost }),
        gone_down
            .filter(|_| !metrics.is_empty())
            .map(|change| Recommendation::InviteBack { change }),
        (open > 0).then_some(Recommendation::CloseAlerts { open }),
        metrics
            .peak()
            .filter(|(_, _, visits)| *visits >= CROWDED)
            .map(|(day, hour, _)| Recommendation::StaffPeak {
                weekday: day + 1,
                hour,
            }),
    ]
    .into_iter()
    .flatten()
    .collect();
    if advice.is_empty() {
        advice.push(Recommendation::KeepGoing);
    }
    advice
}

fn low_uptime(metrics: &Metrics) -> Option<f64> {
    metrics
        .kiosk_uptime
        .value
        .filter(|share| *share < UPTIME_LOW)
}
