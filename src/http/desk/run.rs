//! A run: as a row among others, and as a page with all the ledger knows.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde_json::Value;

use super::format::{badge, clock, in_short, moment, moment_or, plain, took};
use crate::engine::Run;

/// Runs as a table; on a phone each row is a block of its own.
pub(super) fn table(runs: &[Run], with_job: bool, now: DateTime<Utc>) -> Markup {
    html! {
        @if runs.is_empty() {
            p.quiet { "None." }
        } @else {
            table {
                thead {
                    tr {
                        th scope="col" { "Begun" }
                        @if with_job { th scope="col" { "Job" } }
                        th scope="col" { "Status" }
                        th scope="col" { "Called by" }
                        th.number scope="col" { "Took" }
                        th scope="col" { "Results" }
                    }
                }
                tbody { @for run in runs { (row(run, with_job, now)) } }
            }
        }
    }
}

fn row(run: &Run, with_job: bool, now: DateTime<Utc>) -> Markup {
    html! {
        tr {
            td.when {
                a href={ "/runs/" (run.id) } {
                    time datetime=(run.started_at.to_rfc3339()) { (clock(run.started_at, now)) }
                }
            }
            @if with_job { td.job { a href={ "/jobs/" (run.job) } { (run.job) } } }
            td { (badge(run.status.name())) @if run.dry_run { " " span.quiet { "dry run" } } }
            td { (called_by(run)) }
            td.number { (took(run)) }
            td.results {
                @match &run.error {
                    Some(error) => (error),
                    None => (in_short(&run.results)),
                }
            }
        }
    }
}

/// A run, and the runs that go on where it ended.
pub(super) fn content(run: &Run, continuations: &[Run], now: DateTime<Utc>) -> Markup {
    html! {
        header {
            p.kicker { a href="/" { "jarvis-cron" } " · " a href={ "/jobs/" (run.job) } { (run.job) } }
            h1 { "Run of " (clock(run.started_at, now)) }
            span.badges { (badge(run.status.name())) @if run.dry_run { " " (badge("dry run")) } }
        }
        main {
            @if let Some(error) = &run.error {
                section { h2 { "Error" } pre.bad { (error) } }
            }
            section {
                h2 { "Results" }
                (results(&run.results))
            }
            section {
                h2 { "How it came about" }
                article { (origin(run, now)) }
            }
            @if let Some(id) = run.continuation_of {
                section { h2 { "Goes on where another ended" } p { a href={ "/runs/" (id) } { code { (id) } } } }
            }
            @if !continuations.is_empty() {
                section { h2 { "Goes on in" } (table(continuations, false, now)) }
            }
        }
    }
}

fn origin(run: &Run, now: DateTime<Utc>) -> Markup {
    let texts = [
        ("Reason", &run.reason),
        ("Message", &run.message_id),
        ("Schedule", &run.schedule_id),
    ];
    html! {
        dl {
            dt { "Run" } dd { code { (run.id) } }
            dt { "Called by" } dd { (called_by(run)) }
            @for (name, text) in texts {
                @if let Some(text) = text { dt { (name) } dd { (text) } }
            }
            dt { "Begun" } dd { (moment(run.started_at, now)) }
            dt { "Ended" } dd { (moment_or(run.finished_at, "not yet", now)) }
            dt { "Took" } dd { (took(run)) }
            dt { "Attempt" } dd { (run.attempt) }
            @if run.shard != 0 { dt { "Shard" } dd { (run.shard) } }
            dt { "Options" } dd { code { (run.options) } }
        }
    }
}

fn called_by(run: &Run) -> String {
    let trigger = match &*run.trigger {
        "qstash" => "QStash",
        "cli" => "command line",
        trigger => trigger,
    };
    match &run.actor {
        Some(actor) => format!("{actor} ({trigger})"),
        None => trigger.to_owned(),
    }
}

/// Numbers and words as a list; whatever is more than that as JSON below.
fn results(results: &Value) -> Markup {
    let Value::Object(entries) = results else {
        return html! { pre { (results) } };
    };
    let is_short = |value: &Value| !value.is_object() && !value.is_array();
    let more = entries.iter().filter(|(_, value)| !is_short(value));
    html! {
        @if entries.is_empty() {
            p.quiet { "None yet." }
        } @else {
            article {
                dl.figures {
                    @for (name, value) in entries.iter().filter(|(_, value)| is_short(value)) {
                        dt { (plain(name)) }
                        dd { @match value { Value::String(text) => (text), other => (other) } }
                    }
                }
            }
        }
        @for (name, value) in more {
            h3 { (plain(name)) }
            pre { (format!("{value:#}")) }
        }
    }
}
