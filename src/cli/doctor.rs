//! `doctor`: what keeps this service from working, each with its mend.
//!
//! Changes nothing anywhere. Every check is bounded in time and all run at
//! once, so the answer comes soon also when everything is away. A check whose
//! settings are wrong is left out: the settings are a finding of their own.
//! No secret is printed, whoever quotes it.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};

use super::{progress, say};
use crate::config::Settings;

mod bounds;
mod clocks;
mod database;
mod finding;
mod keys;
mod report;
mod schedules;
mod service;
mod settings;
mod stripe;

use finding::{Finding, Level, failure};

/// How long one check may take.
const LONGEST: Duration = Duration::from_secs(20);

/// How to tell.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Exit 1 on warnings too.
    #[arg(long)]
    strict: bool,
}

/// Looks at everything, prints what it found, and exits 1 when something
/// does not work.
///
/// # Errors
/// When the findings cannot be printed.
pub(super) async fn doctor(settings: &Settings, typed: &Doctor) -> anyhow::Result<ExitCode> {
    let waiting = progress::waiting("looking at everything");
    let mut findings = all(settings).await;
    waiting.finish_and_clear();
    for finding in &mut findings {
        finding.what = settings.redact(&finding.what);
        finding.mend = finding.mend.as_deref().map(|mend| settings.redact(mend));
    }
    if typed.json {
        say(format_args!("{:#}", report::in_json(&findings)));
    } else {
        say(format_args!("{}", report::in_a_table(&findings)));
        say(format_args!("{}", report::in_a_line(&findings)));
    }
    let is_fatal = |finding: &Finding| match finding.level {
        Level::Ok => false,
        Level::Warning => typed.strict,
        Level::Failure => true,
    };
    Ok(if findings.iter().any(is_fatal) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn all(settings: &Settings) -> Vec<Finding> {
    let mut findings = settings::check(settings);
    findings.extend(bounds::check(settings));
    let checks = [
        within("database", database::check(settings).boxed()),
        within("clock", clocks::check(settings).boxed()),
        within("qstash", keys::check(settings).boxed()),
        within("schedules", schedules::check(settings).boxed()),
        within("stripe", stripe::check(settings).boxed()),
        within("service", service::check(settings).boxed()),
    ];
    findings.extend(join_all(checks).await.into_iter().flatten());
    findings
}

async fn within(check: &'static str, findings: BoxFuture<'_, Vec<Finding>>) -> Vec<Finding> {
    let late = |_| {
        let what = format!("no answer within {} seconds", LONGEST.as_secs());
        let mend = "is the way there open from this machine: name, firewall, proxy?";
        vec![failure(check, what, mend)]
    };
    tokio::time::timeout(LONGEST, findings)
        .await
        .unwrap_or_else(late)
}
