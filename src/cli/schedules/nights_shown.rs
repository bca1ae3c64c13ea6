//! What the nights on which clocks change may mean, for people and as JSON.
//!
//! Says what each thing that QStash may do would lead to, because which it
//! does is documented nowhere.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::qstash::schedules::nights::{Kind, Night};
use crate::qstash::schedules::{Schedule, Schedules};

/// A paragraph, or nothing where no schedule is touched.
pub(super) fn in_words(schedules: &Schedules, now: DateTime<Utc>) -> String {
    let touched = touched(schedules, now);
    if touched.is_empty() {
        return String::new();
    }
    let zone = schedules.timezone;
    let mut words = format!(
        "\nWhen the clocks of {zone} change (what QStash does then is documented nowhere):\n"
    );
    for (schedule, night) in touched {
        // Writing to a string cannot fail.
        let _ = writeln!(words, "  {}: {}", schedule.id, meaning(&night));
    }
    words
}

pub(super) fn json(schedules: &Schedules, now: DateTime<Utc>) -> Value {
    let nights = touched(schedules, now)
        .into_iter()
        .map(|(schedule, night)| {
            json!({
                "id": schedule.id,
                "kind": night.change.kind,
                "tick": night.tick.to_string(),
                "clock_changes_at": night.change.at,
                "is_overdue_when_skipped": night.is_overdue_when_skipped,
                "meaning": meaning(&night),
            })
        });
    nights.collect()
}

fn touched(schedules: &Schedules, now: DateTime<Utc>) -> Vec<(&Schedule, Night)> {
    let touched = schedules.schedules.iter().flat_map(|schedule| {
        let nights = schedules.nights(schedule, now).into_iter();
        nights.map(move |night| (schedule, night))
    });
    touched.collect()
}

fn meaning(night: &Night) -> String {
    let (day, time) = (night.tick.date(), night.tick.format("%H:%M"));
    match night.change.kind {
        Kind::Missing => {
            let noticed = if night.is_overdue_when_skipped {
                "it counts as overdue"
            } else {
                "it does not count as overdue"
            };
            let end = night.change.until.format("%H:%M");
            format!(
                "{day} has no {time}. Left out, the next tick does the work, and {noticed}; \
                 called at {end}, nothing differs."
            )
        }
        Kind::Doubled => format!(
            "{day} has {time} twice. Called once, at either, nothing differs; called twice, \
             the second run finds the work done."
        ),
    }
}
