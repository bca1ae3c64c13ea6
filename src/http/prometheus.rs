//! `GET /metrics`: the figures for Prometheus, in its text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! For operators alone. Everything but the refusals comes from the ledger and
//! its totals, so it survives a restart and a pruned run, and is the same on
//! every replica: scrape the service, not each container, and never add
//! replicas up. No crate holds these numbers, because all but the refusals live
//! in the database.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use strum::VariantArray;

use super::guard::Operator;
use super::health::is_ready;
use super::openapi::Refuses;
use super::refusals::Refusals;
use super::{App, Refusal};
use crate::engine::{JobError, Registry, Status};
use crate::views::overview::Figures;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The same figures, for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    responses(
        (status = 200, body = String, content_type = "text/plain; version=0.0.4; charset=utf-8",
            description = "Samples; only `up` 0, `ready` 0 and the refusals while the database is away."),
        Refuses<401>, Refuses<500>,
    ),
    security(("operator" = []), ("operator_in_a_browser" = [])),
)]
pub(super) async fn metrics(_: Operator, State(app): State<App>) -> Result<Response, Refusal> {
    let figures = match app.views.figures().await {
        Ok(figures) => Some(figures),
        // A figure too, `up` 0: a scraper throws away what comes with a 503.
        Err(JobError::Unreachable(cause)) => {
            tracing::warn!(%cause, "Failed to read the figures");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let mut page = Page::default();
    page.family("up", "gauge", "Whether the database answers.");
    page.sample("up", &[], i64::from(figures.is_some()));
    page.family("ready", "gauge", "Whether runs can begin.");
    let is_ready = figures.is_some() && is_ready(&app).await;
    page.sample("ready", &[], i64::from(is_ready));
    refusals(&mut page, &app.refusals);
    if let Some(figures) = &figures {
        runs(&mut page, figures, app.runner.jobs);
        rows(&mut page, figures, app.runner.jobs);
        punctuality(&mut page, figures, app.runner.jobs);
        alerts(&mut page, figures);
    }
    Ok(([(header::CONTENT_TYPE, TEXT)], page.text).into_response())
}

fn runs(page: &mut Page, figures: &Figures, jobs: Registry) {
    let help = "Settled runs, dry runs left out, by how they ended.";
    page.family("runs_total", "counter", help);
    for job in jobs.iter() {
        let settled = Status::VARIANTS
            .iter()
            .filter(|status| **status != Status::Running);
        for status in settled.map(|status| status.name()) {
            let totals = figures.totals.get(job.name);
            let runs = totals.and_then(|totals| totals.runs.get(status).copied());
            let labels = [("job", job.name), ("status", status)];
            page.sample("runs_total", &labels, runs.unwrap_or(0));
        }
    }
    let help = "Time of the runs that worked to some end: neither skipped nor abandoned.";
    page.family("run_duration_seconds", "summary", help);
    for job in jobs.iter() {
        let totals = figures.totals.get(job.name).cloned().unwrap_or_default();
        let labels = [("job", job.name)];
        let seconds = Milliseconds(totals.duration_ms);
        page.sample("run_duration_seconds_sum", &labels, seconds);
        page.sample("run_duration_seconds_count", &labels, totals.worked);
    }
    let help = "When the latest run that did all its work ended.";
    page.family("last_success_timestamp_seconds", "gauge", help);
    for job in jobs.iter() {
        let totals = figures.totals.get(job.name);
        if let Some(at) = totals.and_then(|totals| totals.last_success) {
            let labels = [("job", job.name)];
            page.sample("last_success_timestamp_seconds", &labels, moment(at));
        }
    }
}

fn rows(page: &mut Page, figures: &Figures, jobs: Registry) {
    let help = "What all runs did together, by the name of the count in their results.";
    page.family("rows_total", "counter", help);
    for job in jobs.iter() {
        let totals = figures.totals.get(job.name);
        for kind in job.totals {
            let rows = totals.and_then(|totals| totals.counts.get(*kind).copied());
            let labels = [("job", job.name), ("kind", kind)];
            page.sample("rows_total", &labels, rows.unwrap_or(0));
        }
    }
}

fn punctuality(page: &mut Page, figures: &Figures, jobs: Registry) {
    let help = "For how long a call of the scheduler has been missing; 0 when none is.";
    page.family("overdue_seconds", "gauge", help);
    for of in &figures.punctuality {
        page.sample("overdue_seconds", &[("job", &of.job)], of.overdue_seconds);
    }
    page.family("paused", "gauge", "Whether the job is paused.");
    for job in jobs.iter() {
        let standing = figures.standings.get(job.name);
        let is_paused = standing.is_some_and(|standing| standing.pause.is_some());
        page.sample("paused", &[("job", job.name)], i64::from(is_paused));
    }
}

fn alerts(page: &mut Page, figures: &Figures) {
    let help = "Alerts that are open or acknowledged, by kind and severity.";
    page.family("alerts_open", "gauge", help);
    for open in &figures.alerts_open {
        let labels = [("kind", &*open.kind), ("severity", &*open.severity)];
        page.sample("alerts_open", &labels, open.alerts);
    }
}

fn refusals(page: &mut Page, refusals: &Refusals) {
    let help = "Requests that this process refused since it started, by the code of the answer.";
    page.family("refusals_total", "counter", help);
    for (code, refused) in refusals.by_code() {
        page.sample("refusals_total", &[("code", code)], refused);
    }
}

/// The page as it grows; every name gets our prefix.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// Announces the samples that follow. Writing to a string cannot fail.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP jarvis_cron_{name} {help}");
        let _ = writeln!(self.text, "# TYPE jarvis_cron_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = match &*labels.join(",") {
            "" => String::new(),
            labels => format!("{{{labels}}}"),
        };
        let _ = writeln!(self.text, "jarvis_cron_{name}{labels} {value}");
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Milliseconds, written as seconds without rounding.
struct Milliseconds(i64);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

fn moment(at: DateTime<Utc>) -> Milliseconds {
    Milliseconds(at.timestamp_millis())
}
