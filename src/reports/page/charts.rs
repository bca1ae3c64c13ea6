//! The charts, as inline SVG. Each says in text what it shows, for readers who
//! cannot see it.

use maud::{Markup, html};

use crate::reports::i18n::Language;
use crate::reports::metrics::{Metrics, real};

/// The width of every chart, in its own units.
const WIDTH: i64 = 360;

/// Visits of each day, beside those of the week before.
pub(super) fn days(metrics: &Metrics, language: Language) -> Markup {
    const HEIGHT: i64 = 150;
    let labels = language.labels();
    let days = metrics.visits_by_day.iter();
    let days: Vec<(i64, i64)> = days
        .map(|day| (day.value.unwrap_or(0), day.previous.unwrap_or(0)))
        .collect();
    let most = days
        .iter()
        .fold(1, |most, (this, last)| most.max(*this).max(*last));
    let tall = |visits: i64| visits * (HEIGHT - 40) / most;
    let texts: Vec<String> = (0..)
        .zip(&days)
        .map(|(day, (this, last))| {
            let (this, last) = (language.count(*this), language.count(*last));
            format!("{} {this} ({last})", language.weekday(day))
        })
        .collect();
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby="days-title days-words" {
            title id="days-title" { (labels.visits_per_day) ", " (labels.this_week) " (" (labels.last_week) ")" }
            desc id="days-words" { (texts.join(", ")) }
            @for (day, (this, last)) in (0_i64..).zip(&days) {
                @let left = day * WIDTH / 7;
                rect.before x=(left + 7) width="14" y=(HEIGHT - 22 - tall(*last)) height=(tall(*last)) rx="2" {}
                rect.this x=(left + 22) width="22" y=(HEIGHT - 22 - tall(*this)) height=(tall(*this)) rx="2" {}
                text x=(left + 33) y=(HEIGHT - 26 - tall(*this)) text-anchor="middle" { (language.count(*this)) }
                text.faint x=(left + 26) y=(HEIGHT - 7) text-anchor="middle" { (language.short_weekday(place(day))) }
            }
        }
        (key(&[("this", labels.this_week, None), ("before", labels.last_week, None)], language))
    }
}

/// Visits of each hour of each day; hours without any visit at either end of
/// the day are left out.
pub(super) fn hours(metrics: &Metrics, language: Language) -> Markup {
    const LEFT: i64 = 32;
    const ROW: i64 = 20;
    let labels = language.labels();
    let Some((peak_day, peak_hour, most)) = metrics.peak() else {
        return html! { p.quiet { (labels.no_visits) } };
    };
    let is_used = |hour: &usize| {
        metrics
            .visits_by_hour
            .iter()
            .any(|day| day.get(*hour).is_some_and(|n| *n > 0))
    };
    let first = (0..24).find(is_used).unwrap_or(0);
    let last = (0..24).rev().find(is_used).unwrap_or(23);
    let columns: Vec<(i64, usize)> = (0..).zip(first..=last).collect();
    let wide = (WIDTH - LEFT) / i64::try_from(columns.len()).unwrap_or(1);
    let wide = wide.min(40);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", 7 * ROW + 18)) role="img" aria-labelledby="hours-title hours-words" {
            title id="hours-title" { (labels.busy_hours) }
            desc id="hours-words" {
                (language.weekday(peak_day)) " " (language.hour(peak_hour)) ": " (language.count(most))
            }
            @for (row, day) in (0..).zip(&metrics.visits_by_hour) {
                text.faint x="0" y=(row * ROW + 14) { (language.short_weekday(place(row))) }
                @for (column, hour) in &columns {
                    @let visits = day.get(*hour).copied().unwrap_or_default();
                    @let (x, y) = (LEFT + column * wide, row * ROW);
                    rect.track x=(x) y=(y) width=(wide - 2) height=(ROW - 2) rx="2" fill-opacity=".45" {}
                    @if visits > 0 {
                        rect.this x=(x) y=(y) width=(wide - 2) height=(ROW - 2) rx="2" fill-opacity=(shade(visits, most)) {
                            title {
                                (language.short_weekday(place(row))) " " (language.hour(*hour)) " : "
                                (language.count(visits))
                            }
                        }
                    }
                }
            }
            @for (column, hour) in columns.iter().filter(|(_, hour)| hour % 3 == 0) {
                text.faint x=(LEFT + column * wide) y=(7 * ROW + 12) { (language.hour(*hour)) }
            }
        }
        p.key { (labels.busy_hours_key) }
    }
}

/// Members at each level of risk.
pub(super) fn levels(metrics: &Metrics, language: Language) -> Markup {
    let labels = language.labels();
    let Some(levels) = metrics.churn_levels else {
        return html! { p.quiet { (labels.not_scored) } };
    };
    stacked(
        "levels",
        labels.churn_levels,
        levels.parts(),
        labels.levels,
        language,
    )
}

/// Conversations by how they went.
pub(super) fn moods(metrics: &Metrics, language: Language) -> Markup {
    let labels = language.labels();
    let parts = metrics.sentiment.parts();
    if parts.iter().all(|(_, count)| *count == 0) {
        return html! {};
    }
    stacked("moods", labels.conversations, parts, labels.moods, language)
}

/// The share of opening time in which the kiosks sent heartbeats.
pub(super) fn uptime(metrics: &Metrics, language: Language) -> Markup {
    let labels = language.labels();
    let Some(share) = metrics.kiosk_uptime.value else {
        return html! { p.quiet { (labels.unmeasured) } };
    };
    let percent = language.percent(share, 1);
    html! {
        p.big { (percent) }
        svg viewBox=(format!("0 0 {WIDTH} 14")) role="img" aria-labelledby="uptime-title" {
            title id="uptime-title" { (labels.kiosk_uptime) ": " (percent) }
            rect.track x="0" y="1" width=(WIDTH) height="12" rx="6" {}
            rect.this x="0" y="1" width=(format!("{:.0}", share * 360.0)) height="12" rx="6" {}
        }
        p.key {
            (labels.kiosks_note)
            @if let Some(last) = metrics.kiosk_uptime.previous {
                " " span { "(" (labels.last_week) " " (language.percent(last, 1)) ")" }
            }
        }
    }
}

/// Parts of a whole, side by side, with their counts below.
fn stacked(
    id: &str,
    title: &str,
    parts: [(&str, i64); 4],
    labels: [&str; 4],
    language: Language,
) -> Markup {
    let total = parts.iter().map(|(_, count)| count).sum::<i64>().max(1);
    let labelled = || labels.iter().zip(parts);
    let texts: Vec<String> = labelled()
        .map(|(label, (_, count))| format!("{label} {}", language.count(count)))
        .collect();
    let ends = parts.iter().scan(0, |end, (_, count)| {
        *end += count;
        Some(*end * WIDTH / total)
    });
    let ends: Vec<i64> = std::iter::once(0).chain(ends).collect();
    let rows: Vec<(&str, &str, Option<i64>)> = labelled()
        .map(|(label, (class, count))| (class, *label, Some(count)))
        .collect();
    html! {
        svg viewBox=(format!("0 0 {WIDTH} 22")) role="img" aria-labelledby=(format!("{id}-title {id}-words")) {
            title id=(format!("{id}-title")) { (title) }
            desc id=(format!("{id}-words")) { (texts.join(", ")) }
            @for (ends, (class, _)) in ends.windows(2).zip(parts) {
                rect.(class) x=(ends[0]) y="0" width=(ends[1] - ends[0]) height="22" {}
            }
        }
        (key(&rows, language))
    }
}

/// What the colors mean, with counts where there are.
fn key(rows: &[(&str, &str, Option<i64>)], language: Language) -> Markup {
    html! {
        ul.key {
            @for (class, label, count) in rows {
                li {
                    svg viewBox="0 0 10 10" aria-hidden="true" { rect.(class) width="10" height="10" rx="2" {} }
                    (label)
                    @if let Some(count) = count { " " strong { (language.count(*count)) } }
                }
            }
        }
    }
}

/// How dark a square is, in hundredths written as a fraction; the palest
/// still shows.
fn shade(visits: i64, most: i64) -> String {
    format!("{:.2}", 0.18 + 0.82 * real(visits) / real(most))
}

fn place(row: i64) -> usize {
    usize::try_from(row).unwrap_or_default()
}
