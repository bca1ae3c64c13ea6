//! How moments, lengths of time, states and results are written for people.

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use maud::{Markup, html};
use serde_json::Value;

use crate::engine::{Run, summary_with};
use crate::http::status::JobStatus;
use crate::qstash::schedules::Schedules;

/// A moment on the clocks of the schedules' zone, and how far it is from now.
pub(super) fn moment(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    html! {
        time datetime=(at.to_rfc3339()) { (clock(at, now)) }
        " " span.quiet.near { "(" (distance(at, now)) ")" }
    }
}

/// The same, or a word for never.
pub(super) fn moment_or(at: Option<DateTime<Utc>>, never: &str, now: DateTime<Utc>) -> Markup {
    at.map_or_else(|| html! { span.quiet { (never) } }, |at| moment(at, now))
}

/// A moment as its day and time; the year where it is another one.
pub(super) fn clock(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let zone = Schedules::deployed().timezone;
    let (at, now) = (at.with_timezone(&zone), now.with_timezone(&zone));
    let format = match (at.date_naive() == now.date_naive(), at.year() == now.year()) {
        (true, _) => "today %H:%M:%S",
        (_, true) => "%-d %b %H:%M:%S",
        _ => "%-d %b %Y %H:%M",
    };
    at.format(format).to_string()
}

/// How far a moment is from now: `in 4 min`, `3 h ago`.
pub(super) fn distance(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let far = at - now;
    match far.num_seconds() {
        -1..=1 => "now".to_owned(),
        seconds if seconds > 0 => format!("in {}", length(far)),
        _ => format!("{} ago", length(-far)),
    }
}

/// A length of time in its largest unit that is worth saying.
pub(super) fn length(delta: TimeDelta) -> String {
    match delta.num_seconds() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// How long a run took.
pub(super) fn took(run: &Run) -> String {
    match run.duration_ms {
        None => "–".to_owned(),
        Some(ms @ ..1_000) => format!("{ms} ms"),
        Some(ms @ ..120_000) => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        Some(ms) => length(TimeDelta::milliseconds(ms)),
    }
}

/// A state in a sign, a word and a colour.
pub(super) fn badge(word: &str) -> Markup {
    let (sign, tone) = match word {
        "succeeded" | "on time" => ("✓", "good"),
        "running" => ("▸", "busy"),
        "partial" | "skipped" | "paused" => ("‖", "warn"),
        "warning" => ("!", "warn"),
        "failed" | "fenced" | "abandoned" => ("✕", "bad"),
        "overdue" | "high" | "critical" => ("!", "bad"),
        _ => ("○", "none"),
    };
    html! { span.badge.(tone) { span aria-hidden="true" { (sign) } " " (word) } }
}

/// The state of a job in badges, the worst first.
pub(super) fn badges(status: &JobStatus) -> Markup {
    let last = status.last_run.as_ref();
    html! {
        span.badges {
            @if status.overdue { (badge("overdue")) " " }
            @if status.pause.is_some() { (badge("paused")) " " }
            @match last {
                Some(run) => (badge(run.status.name())),
                None => (badge("never ran")),
            }
        }
    }
}

/// Whether an operator has to look at a job.
pub(super) fn is_in_trouble(status: &JobStatus) -> bool {
    let last_run = status.last_run.as_ref();
    status.overdue || last_run.is_some_and(|run| run.status.is_failure())
}

/// What a run did, in one line: its counts that are not zero.
pub(super) fn in_short(results: &Value) -> String {
    let line = summary_with(results, |name, value| match value {
        Value::Number(number) => Some(format!("{number} {name}")),
        Value::Array(entries) if !entries.is_empty() => Some(format!("{} {name}", entries.len())),
        _ => None,
    });
    match results.as_object() {
        Some(results) if line.is_empty() && !results.is_empty() => "nothing to do".to_owned(),
        _ => plain(&line),
    }
}

/// A name of a program's as people write it.
pub(super) fn plain(name: &str) -> String {
    name.replace('_', " ")
}
