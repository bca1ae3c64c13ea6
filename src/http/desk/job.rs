//! A job: as a card among others, and as a page with its runs.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use strum::VariantArray;

use super::format::{badges, length, moment, moment_or, plain, took};
use super::run::table;
use crate::engine::Status;
use crate::http::operator::RunsPage;
use crate::http::status::JobStatus;
use crate::views::standing::Pause;
use crate::views::totals::Totals;

/// The counts that a card has room for.
const COUNTS: usize = 4;

/// A job in short.
pub(super) fn card(status: &JobStatus, totals: Option<&Totals>, now: DateTime<Utc>) -> Markup {
    html! {
        article {
            h2 { a href={ "/jobs/" (status.job) } { (status.job) } }
            (badges(status))
            (notes(status, now))
            (facts(status, totals, false, now))
        }
    }
}

/// A job, and a page of its runs.
pub(super) fn content(
    status: &JobStatus,
    totals: &Totals,
    page: &RunsPage,
    now: DateTime<Utc>,
) -> Markup {
    html! {
        header {
            p.kicker { a href="/" { "jarvis-cron" } }
            h1 { (status.job) }
            (badges(status))
            p { (status.description) }
        }
        main {
            section {
                article {
                    (notes(status, now))
                    (facts(status, Some(totals), true, now))
                }
            }
            section {
                h2 { "Runs" }
                (filters(status.job, page.status))
                (table(&page.runs, false, now))
                @if let Some(next) = page.next {
                    p { a href=(address(status.job, page.status, Some(&next.to_string()))) { "Older runs" } }
                }
            }
            section {
                h2 { "By hand" }
                pre { (by_hand(status.job)) }
            }
        }
    }
}

/// When a job runs and what it did, in short or in full.
fn facts(status: &JobStatus, totals: Option<&Totals>, in_full: bool, now: DateTime<Utc>) -> Markup {
    html! {
        dl {
            dt { "Schedule" }
            dd {
                code { (status.schedule.unwrap_or("none")) }
                @if in_full { " " span.quiet { (status.time_zone) } }
            }
            dt { "Next tick" }
            dd { (moment_or(status.next_tick, "never", now)) }
            @if in_full {
                dt { "Last expected tick" }
                dd { (moment_or(status.last_expected_tick, "none since the first migration", now)) }
                dt { "Last delivery" }
                dd { (moment_or(status.last_delivery, "none by QStash", now)) }
            }
            dt { "Last run" }
            dd { (last_run(status, now)) }
            dt { "Last success" }
            dd { (last_success(status, totals, now)) }
            dt { "In all" }
            dd { (in_all(totals, if in_full { usize::MAX } else { COUNTS })) }
        }
    }
}

/// What is wrong, in words.
fn notes(status: &JobStatus, now: DateTime<Utc>) -> Markup {
    html! {
        @if status.overdue {
            p.note.bad {
                "QStash has not called: overdue for "
                (length(chrono::TimeDelta::seconds(status.overdue_seconds))) "."
            }
        }
        @if let Some(pause) = &status.pause {
            p.note.warn { (paused(pause, now)) }
        }
        @if let Some(error) = status.last_run.as_ref().and_then(|run| run.error.as_deref()) {
            p.note.bad { (error) }
        }
    }
}

fn paused(pause: &Pause, now: DateTime<Utc>) -> Markup {
    html! {
        "Paused"
        @if let Some(by) = &pause.paused_by { " by " (by) }
        @if let Some(reason) = &pause.reason { ": " (reason) }
        ". "
        @match pause.until {
            Some(until) => { "Until " (moment(until, now)) "." }
            None => "Until an operator resumes it.",
        }
    }
}

fn last_run(status: &JobStatus, now: DateTime<Utc>) -> Markup {
    html! {
        @match &status.last_run {
            Some(run) => {
                a href={ "/runs/" (run.id) } { (run.status.name()) } " " (moment(run.started_at, now))
                @if run.finished_at.is_some() { ", " (took(run)) }
            }
            None => span.quiet { "never" },
        }
    }
}

/// The row may have been pruned; the totals remember when it was.
fn last_success(status: &JobStatus, totals: Option<&Totals>, now: DateTime<Utc>) -> Markup {
    let ended = status.last_success.as_ref().and_then(|run| run.finished_at);
    moment_or(ended.or_else(|| totals?.last_success), "never", now)
}

fn in_all(totals: Option<&Totals>, most: usize) -> Markup {
    let runs = totals.into_iter().flat_map(|totals| totals.runs.values());
    let runs = runs.fold(0_i64, |sum, runs| sum.saturating_add(*runs));
    let counts = totals.map(|totals| &totals.counts).into_iter().flatten();
    let counts: Vec<String> = counts
        .filter(|(_, count)| **count != 0)
        .map(|(kind, count)| format!("{count} {}", plain(kind)))
        .collect();
    let left_out = counts.len().saturating_sub(most);
    html! {
        (runs) @if runs == 1 { " run" } @else { " runs" }
        @for count in counts.iter().take(most) { ", " (count) }
        @if left_out > 0 { ", …" }
    }
}

fn filters(job: &str, chosen: Option<Status>) -> Markup {
    html! {
        nav.filters aria-label="Only runs that" {
            @for status in [None].into_iter().chain(Status::VARIANTS.iter().copied().map(Some)) {
                @let word = status.map_or("all", Status::name);
                @if status == chosen {
                    strong aria-current="true" { (word) }
                } @else {
                    a href=(address(job, status, None)) { (word) }
                }
                " "
            }
        }
    }
}

fn address(job: &str, status: Option<Status>, before: Option<&str>) -> String {
    let status = status.map(|status| format!("status={}", status.name()));
    let before = before.map(|id| format!("before={id}"));
    let query: Vec<String> = status.into_iter().chain(before).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/jobs/{job}{mark}{}", query.join("&"))
}

fn by_hand(job: &str) -> String {
    let call = "curl -H \"Authorization: Bearer $OPERATOR_SECRET\" -H 'X-Actor: you'";
    let json = "-H 'Content-Type: application/json'";
    format!(
        "# what would a run do?\n\
         {call} \\\n  -X POST \"$PUBLIC_URL/api/cron/{job}?dry_run=true\"\n\n\
         # keep it from running\n\
         {call} {json} \\\n  -d '{{\"reason\": \"…\", \"until\": null}}' \"$PUBLIC_URL/api/jobs/{job}/pause\"\n\n\
         # let it run again\n\
         {call} \\\n  -X DELETE \"$PUBLIC_URL/api/jobs/{job}/pause\"\n"
    )
}
