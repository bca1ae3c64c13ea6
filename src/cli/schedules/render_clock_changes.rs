//! The ticks that a change of the clock affects, as text and as JSON.
//!
//! Explains the effect of everything that QStash may do, because what it does
//! is documented nowhere.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::qstash::schedules::clock_changes::{AffectedTick, Kind};
use crate::qstash::schedules::{Schedule, Schedules};

/// A paragraph, or nothing where no schedule is affected.
pub(super) fn render(schedules: &Schedules, now: DateTime<Utc>) -> String {
    let affected = affected(schedules, now);
    if affected.is_empty() {
        return String::new();
    }
    let zone = schedules.timezone;
    let mut text = format!(
        "\nWhen the clocks of {zone} change (what QStash does then is documented nowhere):\n"
    );
    for (schedule, tick) in affected {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {}: {}", schedule.id, meaning(&tick));
    }
    text
}

pub(super) fn json(schedules: &Schedules, now: DateTime<Utc>) -> Value {
    let affected = affected(schedules, now).into_iter();
    affected
        .map(|(schedule, tick)| {
            json!({
                "id": schedule.id,
                "kind": tick.change.kind,
                "tick": tick.local.to_string(),
                "clock_changes_at": tick.change.at,
                "is_overdue_when_skipped": tick.is_overdue_when_skipped,
                "meaning": meaning(&tick),
            })
        })
        .collect()
}

fn affected(schedules: &Schedules, now: DateTime<Utc>) -> Vec<(&Schedule, AffectedTick)> {
    let affected = schedules.schedules.iter().flat_map(|schedule| {
        let ticks = schedules.affected_ticks(schedule, now).into_iter();
        ticks.map(move |tick| (schedule, tick))
    });
    affected.collect()
}

fn meaning(tick: &AffectedTick) -> String {
    let (day, time) = (tick.local.date(), tick.local.format("%H:%M"));
    match tick.change.kind {
        Kind::Missing => {
            let noticed = if tick.is_overdue_when_skipped {
                "it counts as overdue"
            } else {
                "it does not count as overdue"
            };
            let end = tick.change.until.format("%H:%M");
            format!(
                "{day} has no {time}. Skipped, the next tick does the work, and {noticed}; \
                 called at {end}, nothing differs."
            )
        }
        Kind::Doubled => format!(
            "{day} has {time} twice. Called once, at either, nothing differs; called twice, \
             the second run finds the work done."
        ),
    }
}
