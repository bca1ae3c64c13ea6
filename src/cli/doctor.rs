//! `doctor`: what keeps this service from working, each with its fix.
//!
//! Changes nothing anywhere. All checks run at once and each has a time limit,
//! so the report comes soon even when nothing can be reached. A check whose
//! settings are wrong is skipped: the settings are a finding of their own.
//! No secret is printed, even where another service quotes it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};

use super::{exit_code, println, progress};
use crate::config::Settings;
use crate::foreign_text;

mod clocks;
mod database;
mod drift;
mod finding;
mod keys;
mod ports;
mod retention;
mod schedules;
mod service;
mod settings;
mod stripe;

pub(super) use database::explained;
use finding::{Finding, Level, failure};
pub(super) use stripe::is_called as is_stripe_called;

/// How long one check may take.
const LONGEST: Duration = Duration::from_secs(20);

/// How the findings are printed and judged.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Exit 1 on warnings too.
    #[arg(long)]
    strict: bool,
}

/// Runs every check, prints the findings, and exits 1 when something does not
/// work.
pub(super) async fn doctor(settings: &Settings, typed: &Doctor) -> ExitCode {
    let waiting = progress::waiting("checking everything");
    let mut findings = findings(settings).await;
    waiting.finish_and_clear();
    for finding in &mut findings {
        finding.what = foreign_text::printable(&finding.what);
        finding.fix = finding.fix.as_deref().map(foreign_text::printable);
    }
    if typed.json {
        println(format_args!("{:#}", finding::render_json(&findings)));
    } else {
        println(finding::render_table(&findings));
    }
    exit_code(findings.iter().all(|finding| match finding.level {
        Level::Ok => true,
        Level::Warning => !typed.strict,
        Level::Failure => false,
    }))
}

async fn findings(settings: &Settings) -> Vec<Finding> {
    let mut findings = settings::check(settings);
    let checks = [
        with_limit("database", database::check(settings).boxed()),
        with_limit("clock", clocks::check(settings).boxed()),
        with_limit("database", drift::check(settings).boxed()),
        with_limit("ports", ports::check(settings).boxed()),
        with_limit("retention", retention::check(settings).boxed()),
        with_limit("qstash", keys::check(settings).boxed()),
        with_limit("schedules", schedules::check(settings).boxed()),
        with_limit("stripe", stripe::check(settings).boxed()),
        with_limit("service", service::check(settings).boxed()),
    ];
    findings.extend(join_all(checks).await.into_iter().flatten());
    findings
}

/// The findings of a check; none where its settings are wrong.
async fn with_limit(
    check: &'static str,
    findings: BoxFuture<'_, Option<Vec<Finding>>>,
) -> Vec<Finding> {
    let Ok(findings) = tokio::time::timeout(LONGEST, findings).await else {
        let what = format!("no answer within {} seconds", LONGEST.as_secs());
        let fix = "check name, firewall and proxy between this machine and it";
        return vec![failure(check, what, fix)];
    };
    findings.unwrap_or_default()
}
