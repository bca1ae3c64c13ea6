//! Does this machine's clock agree with the database's and with QStash's?
//!
//! A run judges by the database's clock, a signature is judged by this one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::finding::{Finding, failure, ok, warning};
use crate::config::Settings;
use crate::database::checkup::checkup;
use crate::outbound;

const CHECK: &str = "clock";

/// More than a busy network makes of it.
const NOTABLE: TimeDelta = TimeDelta::seconds(5);
/// A token lives five minutes, and takes some time to arrive.
const FATAL: TimeDelta = TimeDelta::seconds(120);
/// How long QStash may take to say what time it is.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Compares them. Who does not answer is a finding elsewhere.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let (database, qstash) = tokio::join!(database(settings), qstash(settings));
    let mut findings = Vec::new();
    findings.extend(database.map(|ahead| finding("the database", ahead)));
    findings.extend(qstash.map(|ahead| finding("QStash", ahead)));
    findings
}

/// How far our clock is ahead of the database's.
async fn database(settings: &Settings) -> Option<TimeDelta> {
    let options = settings.database().ok()?.options;
    let found = checkup(options).await.ok()?;
    Some(now() - found.clock)
}

/// How far our clock is ahead of QStash's, to the second. Needs no token:
/// every answer is dated.
async fn qstash(settings: &Settings) -> Option<TimeDelta> {
    let base = settings.qstash().ok()??.base;
    let answer = outbound::client(TIMEOUT)
        .ok()?
        .get(base)
        .send()
        .await
        .ok()?;
    let date = answer.headers().get("date")?.to_str().ok()?;
    let date = DateTime::parse_from_rfc2822(date).ok()?;
    Some(now() - date.with_timezone(&Utc))
}

fn finding(whose: &str, ahead: TimeDelta) -> Finding {
    let off = ahead.abs();
    if off <= NOTABLE {
        let what = format!(
            "agrees with that of {whose} within {} s",
            NOTABLE.num_seconds()
        );
        return ok(CHECK, what);
    }
    let side = if ahead > TimeDelta::zero() {
        "ahead of"
    } else {
        "behind"
    };
    let seconds = off.num_seconds();
    let what = format!("this machine is {seconds} s {side} {whose}");
    let mend = "let both machines take their time from NTP";
    if off > FATAL {
        let what = format!("{what}: deliveries are refused as expired, or taken too late");
        failure(CHECK, what, mend)
    } else {
        warning(CHECK, what, mend)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this machine's clock is what is looked at"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
