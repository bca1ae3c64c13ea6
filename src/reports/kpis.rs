//! The headline numbers of a report, formatted: for the page and the mail.

use super::i18n::Language;
use super::metrics::Figure;
use super::stored::Stored;

/// One number as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// What it counts.
    pub label: &'static str,
    /// This week's.
    pub value: String,
    /// How it changed, where that can be said.
    pub change: Option<String>,
    /// Whether the change is welcome.
    pub tone: Tone,
    /// Last week's.
    pub previous: String,
}

/// Whether a change is welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Tone {
    Good,
    Bad,
    Even,
}

impl Tone {
    /// Its name in the style sheet.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Even => "even",
        }
    }

    fn of(change: f64, is_welcome: bool) -> Self {
        if change == 0.0 {
            Self::Even
        } else if (change > 0.0) == is_welcome {
            Self::Good
        } else {
            Self::Bad
        }
    }
}

/// All headline numbers, in the order they are read in.
#[must_use]
pub fn headlines(report: &Stored, language: Language) -> Vec<Headline> {
    let (metrics, labels) = (&report.metrics, language.labels());
    let count = |label, figure, welcome| of_count(language, label, figure, welcome);
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
        mood(language, &metrics.avg_sentiment),
        uptime(language, &metrics.kiosk_uptime),
        count(labels.open_alerts, &metrics.open_alerts, false),
    ]
}

fn of_count(
    language: Language,
    label: &'static str,
    figure: &Figure<i64>,
    is_welcome: bool,
) -> Headline {
    Headline {
        label,
        value: shown(figure.value, |n| language.count(n)),
        change: figure.change.map(|change| language.change(change)),
        tone: Tone::of(figure.change.unwrap_or_default(), is_welcome),
        previous: shown(figure.previous, |n| language.count(n)),
    }
}

/// The net change is a change already: to say by how many percent it changed
/// would help nobody.
fn net(language: Language, figure: &Figure<i64>) -> Headline {
    let value = figure.value.unwrap_or_default();
    Headline {
        label: language.labels().net_members,
        value: shown(figure.value, |n| language.difference(n)),
        change: None,
        tone: Tone::of(super::metrics::real(value), true),
        previous: shown(figure.previous, |n| language.difference(n)),
    }
}

fn mood(language: Language, figure: &Figure<f64>) -> Headline {
    let text = |number| language.decimal_difference(number, 2);
    Headline {
        label: language.labels().avg_sentiment,
        value: shown(figure.value, text),
        change: figure.change.map(text),
        tone: Tone::of(figure.change.unwrap_or_default(), true),
        previous: shown(figure.previous, text),
    }
}

fn uptime(language: Language, figure: &Figure<f64>) -> Headline {
    let text = |share| language.percent(share, 1);
    let points = |change: f64| {
        let number = language.decimal_difference(change * 100.0, 1);
        format!("{number}\u{a0}{}", language.labels().points)
    };
    Headline {
        label: language.labels().kiosk_uptime,
        value: shown(figure.value, text),
        change: figure.change.map(points),
        tone: Tone::of(figure.change.unwrap_or_default(), true),
        previous: shown(figure.previous, text),
    }
}

/// A dash where nobody can know.
fn shown<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), text)
}
