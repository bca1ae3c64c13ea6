//! The main numbers of a report, formatted: for the page and the mail.

use super::i18n::Language;
use super::metrics::{Figure, real};
use super::stored::StoredReport;

/// One number as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kpi {
    /// What it counts.
    pub label: &'static str,
    /// This week's.
    pub value: String,
    /// How it changed, where that can be said.
    pub change: Option<String>,
    /// Whether the change is welcome: `good`, `bad` or `even`, as the style
    /// sheet calls it.
    pub tone: &'static str,
    /// Last week's.
    pub previous: String,
}

/// All of them, in the order they are read in.
#[must_use]
pub fn kpis(report: &StoredReport, language: Language) -> Vec<Kpi> {
    let (metrics, labels) = (&report.metrics, language.labels());
    let (sentiment, uptime) = (&metrics.avg_sentiment, &metrics.kiosk_uptime);
    let count = |label, figure: &Figure<i64>, is_welcome| {
        let number = |count| language.count(count);
        let change = |change| language.change(change);
        kpi(label, figure, number, change, is_welcome)
    };
    let mood = |mood| language.decimal_difference(mood, 2);
    let percent = |share| language.percent(share, 1);
    let points = |change: f64| {
        let number = language.decimal_difference(change * 100.0, 1);
        format!("{number}\u{a0}{}", labels.points)
    };
    vec![
        count(labels.visits, &metrics.visits, true),
        count(labels.unique_visitors, &metrics.unique_visitors, true),
        count(labels.active_members, &metrics.active_members, true),
        net(language, &metrics.net_members),
        count(labels.new_members, &metrics.new_members, true),
        count(labels.lost_members, &metrics.lost_members, false),
        count(labels.churn_high, &metrics.churn_high, false),
        count(labels.churn_critical, &metrics.churn_critical, false),
        count(labels.conversations, &metrics.conversations, true),
        kpi(labels.avg_sentiment, sentiment, mood, mood, true),
        kpi(labels.kiosk_uptime, uptime, percent, points, true),
        count(labels.open_alerts, &metrics.open_alerts, false),
    ]
}

/// A figure, with a dash for what is unknown.
fn kpi<T: Copy>(
    label: &'static str,
    figure: &Figure<T>,
    number: impl Fn(T) -> String,
    change: impl Fn(f64) -> String,
    is_welcome: bool,
) -> Kpi {
    let shown = |value: Option<T>| value.map_or_else(|| "–".to_owned(), &number);
    Kpi {
        label,
        value: shown(figure.value),
        change: figure.change.map(change),
        tone: tone(figure.change.unwrap_or_default(), is_welcome),
        previous: shown(figure.previous),
    }
}

/// The net change is a change already: its own change in percent would help
/// no reader.
fn net(language: Language, figure: &Figure<i64>) -> Kpi {
    let (label, number) = (language.labels().net_members, |net| {
        language.difference(net)
    });
    Kpi {
        change: None,
        tone: tone(real(figure.value.unwrap_or_default()), true),
        ..kpi(label, figure, number, |_| String::new(), true)
    }
}

fn tone(change: f64, is_welcome: bool) -> &'static str {
    if change == 0.0 {
        "even"
    } else if (change > 0.0) == is_welcome {
        "good"
    } else {
        "bad"
    }
}
