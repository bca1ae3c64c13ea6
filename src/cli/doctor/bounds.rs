//! Do the bounds of a run fit into those of its schedule?

use std::time::Duration;

use super::finding::{Finding, failure, ok, warning};
use crate::config::Settings;
use crate::engine::OVERTIME;
use crate::qstash::schedules::Schedules;

const CHECK: &str = "bounds";

/// One statement of a batch may take that long, and renews nothing meanwhile.
const SHORTEST_LEASE: Duration = Duration::from_secs(20);
/// A job whose process was killed waits for its lease to run out; by then its
/// most frequent tick should not have been missed twice.
const LONGEST_LEASE: Duration = Duration::from_mins(5);

/// Compares them.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let Ok(runs) = settings.runs() else {
        return Vec::new();
    };
    vec![budget(runs.budget), lease(runs.lease_ttl)]
}

fn budget(budget: Duration) -> Finding {
    let schedules = &Schedules::deployed().schedules;
    let timeouts = schedules.iter().filter_map(|schedule| {
        let timeout = humantime::parse_duration(&schedule.delivery.timeout).ok()?;
        Some((timeout, schedule.id.as_str()))
    });
    let (longest, allowed) = (budget + OVERTIME, timeouts.min());
    let (budget, overtime) = (budget.as_secs(), OVERTIME.as_secs());
    match allowed {
        Some((timeout, id)) if timeout <= longest => {
            let most = timeout.saturating_sub(OVERTIME).as_secs().saturating_sub(1);
            failure(
                CHECK,
                format!(
                    "a run may take {budget} s and {overtime} s more, but QStash stops waiting for {id} after {} s and delivers again",
                    timeout.as_secs()
                ),
                format!(
                    "set RUN_BUDGET_SECONDS to {most} at the most, or a longer timeout in qstash-schedules.json"
                ),
            )
        }
        _ => ok(
            CHECK,
            format!(
                "a run answers within {} s, before QStash stops waiting",
                longest.as_secs()
            ),
        ),
    }
}

fn lease(ttl: Duration) -> Finding {
    let seconds = ttl.as_secs();
    if ttl < SHORTEST_LEASE {
        warning(
            CHECK,
            format!("a lease lasts {seconds} s: a slow batch loses it, and its work with it"),
            "set LEASE_TTL_SECONDS to 60",
        )
    } else if ttl > LONGEST_LEASE {
        warning(
            CHECK,
            format!("a lease lasts {seconds} s: a job whose process was killed waits that long"),
            "set LEASE_TTL_SECONDS to 60",
        )
    } else {
        ok(CHECK, format!("a lease lasts {seconds} s"))
    }
}
