//! The moments at which a zone's clock skips an hour or shows it twice, and
//! the ticks that lie in that hour.
//!
//! What QStash does then is documented nowhere. This module only finds the
//! ticks; the plan and docs/schedules.md explain the effect.

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::{Schedule, Schedules};

/// How far ahead changes are searched.
const HORIZON: TimeDelta = TimeDelta::days(366 * 10);
/// No zone changes its clock twice within this time.
const STEP: TimeDelta = TimeDelta::hours(6);

/// What happens to the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The clock skips it.
    Missing,
    /// The clock shows it twice.
    Doubled,
}

/// A change of a zone's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Skipped or doubled.
    pub kind: Kind,
    /// The first local time that is skipped or doubled.
    pub from: NaiveDateTime,
    /// The first local time after it.
    pub until: NaiveDateTime,
    /// When the clock is changed.
    pub at: DateTime<Utc>,
}

/// A tick that lies in a skipped or doubled hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedTick {
    /// The change.
    pub change: Change,
    /// The local time of its first tick in that hour.
    pub local: NaiveDateTime,
    /// Whether a skipped tick would count as overdue: the one after it comes
    /// later than `overdue_after` allows.
    pub is_overdue_when_skipped: bool,
}

/// The changes of a zone's clock after a moment, for ten years.
pub fn changes(zone: Tz, after: DateTime<Utc>) -> impl Iterator<Item = Change> {
    let mut from = after;
    std::iter::from_fn(move || {
        while from < after + HORIZON {
            let (before, next) = (from, from + STEP);
            from = next;
            if offset(zone, before) != offset(zone, next) {
                return Some(change_between(zone, before, next));
            }
        }
        None
    })
}

impl Schedules {
    /// The next affected tick of each kind, the earlier one first. A schedule
    /// that comes every hour has none: its minutes keep their distance.
    #[must_use]
    pub fn affected_ticks(&self, schedule: &Schedule, after: DateTime<Utc>) -> Vec<AffectedTick> {
        if schedule.cron.as_str().split(' ').nth(1) == Some("*") {
            return Vec::new();
        }
        let of_kind = |kind| {
            changes(self.timezone, after)
                .filter(|change| change.kind == kind)
                .find_map(|change| self.affected_tick(schedule, change))
        };
        let ticks = [of_kind(Kind::Missing), of_kind(Kind::Doubled)];
        let mut ticks: Vec<AffectedTick> = ticks.into_iter().flatten().collect();
        ticks.sort_by_key(|tick| tick.change.at);
        ticks
    }

    fn affected_tick(&self, schedule: &Schedule, change: Change) -> Option<AffectedTick> {
        let mut minutes = change.minutes();
        let local = minutes.find(|minute| falls_on(schedule, *minute))?;
        let next = self.next_tick(schedule, change.at);
        Some(AffectedTick {
            change,
            local,
            is_overdue_when_skipped: next
                .is_none_or(|next| next - change.at > schedule.overdue_after),
        })
    }
}

impl Change {
    /// The local minutes that are skipped or doubled.
    pub fn minutes(&self) -> impl Iterator<Item = NaiveDateTime> {
        let until = self.until;
        let first = self.from.with_second(0).unwrap_or(self.from);
        std::iter::successors(Some(first), |minute| Some(*minute + TimeDelta::minutes(1)))
            .take_while(move |minute| *minute < until)
    }
}

/// Whether the expression names this local time, whether it exists or not.
pub(super) fn falls_on(schedule: &Schedule, local: NaiveDateTime) -> bool {
    // UTC has no changes, so that every local time can be asked about.
    schedule
        .cron
        .is_time_matching(&local.and_utc())
        .unwrap_or(false)
}

/// The change between two moments with different offsets, to the second.
fn change_between(zone: Tz, before: DateTime<Utc>, after: DateTime<Utc>) -> Change {
    let old = offset(zone, before);
    let (mut before, mut after) = (before, after);
    while after - before > TimeDelta::seconds(1) {
        let middle = before + (after - before) / 2;
        if offset(zone, middle) == old {
            before = middle;
        } else {
            after = middle;
        }
    }
    // The offsets change on whole seconds.
    let at = after.with_nanosecond(0).unwrap_or(after);
    let new = offset(zone, at);
    let (from, until) = (old.min(new), old.max(new));
    Change {
        kind: if new > old {
            Kind::Missing
        } else {
            Kind::Doubled
        },
        from: at.naive_utc() + from,
        until: at.naive_utc() + until,
        at,
    }
}

fn offset(zone: Tz, moment: DateTime<Utc>) -> TimeDelta {
    let offset = zone.offset_from_utc_datetime(&moment.naive_utc()).fix();
    TimeDelta::seconds(offset.local_minus_utc().into())
}
