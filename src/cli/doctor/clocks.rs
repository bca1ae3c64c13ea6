//! Compares this machine's clock with the database's and with QStash's.
//!
//! A run is dated by the database's clock, a signature is checked by this one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::finding::{Finding, failure, ok, warning};
use crate::cli::now;
use crate::config::Settings;
use crate::database::checkup::checkup;
use crate::outbound;

const CHECK: &str = "clock";

/// More than a busy network can explain.
const NOTABLE: TimeDelta = TimeDelta::seconds(5);
/// A token lives five minutes, and takes some time to arrive.
const FATAL: TimeDelta = TimeDelta::seconds(120);
/// How long QStash may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Compares them. A service that does not answer is a finding of another check.
pub(super) async fn check(settings: &Settings) -> Option<Vec<Finding>> {
    let (database, qstash) = tokio::join!(database(settings), qstash(settings));
    let offsets = [("the database", database), ("QStash", qstash)].into_iter();
    let known = offsets.filter_map(|(name, offset)| Some(finding(name, offset?)));
    Some(known.collect())
}

/// How far our clock is ahead of the database's.
async fn database(settings: &Settings) -> Option<TimeDelta> {
    let database = settings.database().ok()?;
    let found = checkup(database.options, "", &database.terms).await.ok()?;
    Some(now() - found.clock)
}

/// How far our clock is ahead of QStash's, to the second. Needs no token:
/// every answer is dated.
async fn qstash(settings: &Settings) -> Option<TimeDelta> {
    let base = settings.qstash().ok()??.base;
    let request = outbound::client(TIMEOUT).ok()?.get(base);
    let answer = request.send().await.ok()?;
    let date = answer.headers().get("date")?.to_str().ok()?;
    let date = DateTime::parse_from_rfc2822(date).ok()?;
    Some(now() - date.with_timezone(&Utc))
}

fn finding(other: &str, ahead: TimeDelta) -> Finding {
    let offset = ahead.abs();
    if offset <= NOTABLE {
        let most = NOTABLE.num_seconds();
        let what = format!("agrees with that of {other} within {most} s");
        return ok(CHECK, what);
    }
    let is_ahead = ahead > TimeDelta::zero();
    let side = if is_ahead { "ahead of" } else { "behind" };
    let what = format!("this machine is {} s {side} {other}", offset.num_seconds());
    let fix = "synchronise both machines by NTP";
    if offset > FATAL {
        let what = format!("{what}: deliveries are refused as expired, or accepted too late");
        failure(CHECK, what, fix)
    } else {
        warning(CHECK, what, fix)
    }
}
