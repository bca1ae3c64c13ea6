//! The first page: every job, the alerts, the latest runs and reports.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::format::{badge, clock, distance, is_in_trouble, plain};
use super::job::card;
use super::run::table;
use crate::engine::Registry;
use crate::http::status::JobStatus;
use crate::qstash::schedules::Schedules;
use crate::views::overview::{Figures, OpenAlerts, Overview, Report};

pub(super) fn content(jobs: Registry, overview: &Overview) -> Markup {
    let Figures { at, totals, .. } = &overview.figures;
    let statuses = JobStatus::of_all(jobs, &overview.figures);
    html! {
        header {
            p.kicker { "jarvis-cron" }
            h1 { (summary(&statuses)) }
            p { "As of " (clock(*at, *at)) ", " (Schedules::deployed().timezone.name()) }
        }
        main {
            section aria-label="Jobs" {
                div.cards {
                    @for status in &statuses {
                        (card(status, totals.get(status.job), *at))
                    }
                }
            }
            section {
                h2 { "Open alerts" (count(&overview.figures)) }
                (alerts(&overview.figures))
            }
            section {
                h2 { "Latest runs" }
                (table(&overview.runs, true, *at))
            }
            section {
                h2 { "Weekly reports" }
                (reports(&overview.reports))
            }
        }
        footer {
            nav {
                a href="/api/jobs" { "Jobs as JSON" } " "
                a href="/metrics" { "Metrics" } " "
                a href="/health/schedules" { "Schedules’ health" } " "
                a href="/openapi.json" { "OpenAPI" }
            }
        }
    }
}

fn summary(statuses: &[JobStatus]) -> String {
    let trouble = statuses.iter().filter(|status| is_in_trouble(status));
    let paused = statuses.iter().filter(|status| status.pause.is_some());
    let jobs = match trouble.count() {
        0 => "All jobs are well".to_owned(),
        1 => "One job needs a look".to_owned(),
        jobs => format!("{jobs} jobs need a look"),
    };
    match paused.count() {
        0 => jobs,
        paused => format!("{jobs}, {paused} paused"),
    }
}

fn count(figures: &Figures) -> String {
    let alerts = figures.alerts_open.iter().map(|open| open.alerts);
    match alerts.sum::<i64>() {
        0 => String::new(),
        alerts => format!(": {alerts}"),
    }
}

fn alerts(figures: &Figures) -> Markup {
    html! {
        @if figures.alerts_open.is_empty() {
            p.quiet { "None." }
        } @else {
            ul.alerts {
                @for open in &figures.alerts_open {
                    li {
                        (badge(&open.severity)) " "
                        strong { (open.alerts) " × " (plain(&open.kind)) }
                        @if open.acknowledged > 0 { ", " (open.acknowledged) " acknowledged" }
                        p { (open.latest_title) }
                        p.quiet { (since(open, figures.at)) }
                    }
                }
            }
        }
    }
}

fn since(open: &OpenAlerts, now: DateTime<Utc>) -> Markup {
    html! {
        @if open.alerts == 1 {
            "opened " (distance(open.oldest, now))
        } @else {
            "the latest opened " (distance(open.latest, now)) ", the oldest " (distance(open.oldest, now))
        }
    }
}

fn reports(reports: &[Report]) -> Markup {
    html! {
        @if reports.is_empty() {
            p.quiet { "None yet." }
        } @else {
            ul.links {
                @for report in reports {
                    @let address = format!("/reports/{}/{}", report.slug, report.week);
                    li { a href=(address) { (report.gym) ", " (report.week) } }
                }
            }
        }
    }
}
