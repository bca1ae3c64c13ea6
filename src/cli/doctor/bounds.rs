//! Checks that a run fits into the time that its schedule allows.

use std::time::Duration;

use super::finding::{Finding, failure, ok, warning};
use crate::config::Settings;
use crate::engine::OVERTIME;
use crate::qstash::schedules::Schedules;

const CHECK: &str = "bounds";

/// One statement of a batch may take that long, without renewing the lease.
const SHORTEST_LEASE: Duration = Duration::from_secs(20);
/// A job whose process was killed waits for its lease to expire; by then it
/// should not have missed two of its most frequent ticks.
const LONGEST_LEASE: Duration = Duration::from_mins(5);

/// Compares budget, lease and time-outs.
pub(super) fn check(settings: &Settings) -> Option<[Finding; 2]> {
    let runs = settings.runs().ok()?;
    Some([budget(runs.budget), lease(runs.lease_ttl)])
}

fn budget(budget: Duration) -> Finding {
    let schedules = &Schedules::deployed().schedules;
    let timeouts = schedules.iter().filter_map(|schedule| {
        let timeout = humantime::parse_duration(&schedule.delivery.timeout).ok()?;
        Some((timeout, schedule.id.as_str()))
    });
    let longest = budget + OVERTIME;
    let Some((timeout, id)) = timeouts.min().filter(|(timeout, _)| *timeout <= longest) else {
        let longest = longest.as_secs();
        let what = format!("a run answers within {longest} s, before QStash stops waiting");
        return ok(CHECK, what);
    };
    let most = timeout.saturating_sub(OVERTIME).as_secs().saturating_sub(1);
    let (budget, overtime, timeout) = (budget.as_secs(), OVERTIME.as_secs(), timeout.as_secs());
    failure(
        CHECK,
        format!(
            "a run may take {budget} s and {overtime} s more, but QStash stops waiting for {id} after {timeout} s and delivers again"
        ),
        format!(
            "set RUN_BUDGET_SECONDS to {most} at the most, or a longer timeout in qstash-schedules.json"
        ),
    )
}

fn lease(ttl: Duration) -> Finding {
    let lasts = format!("a lease lasts {} s", ttl.as_secs());
    let risk = if ttl < SHORTEST_LEASE {
        "a slow batch loses it and its work"
    } else if ttl > LONGEST_LEASE {
        "a job whose process was killed waits that long"
    } else {
        return ok(CHECK, lasts);
    };
    let fix = "set LEASE_TTL_SECONDS to 60";
    warning(CHECK, format!("{lasts}: {risk}"), fix)
}
