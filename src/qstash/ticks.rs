//! Ticks: the moments at which a schedule is due, and which of them is owed.
//!
//! Pure: every moment is given. Wall clocks are those of the file's time
//! zone, so a tick in an hour that a night in spring skips is due as that
//! night's clock goes on, and in an hour that a night in autumn repeats a
//! daily tick is due once.

use chrono::{DateTime, TimeDelta, Utc};

use super::schedules::{Schedule, Schedules};

/// How long before its tick a delivery may have begun: QStash's clock and the
/// database's are two.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(30);

impl Schedules {
    /// When `schedule` was due last, at `moment` or before; `None` when it
    /// never was.
    #[must_use]
    pub fn last_tick(&self, schedule: &Schedule, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = moment.with_timezone(&self.timezone);
        let last = schedule.cron.find_previous_occurrence(&local, true).ok()?;
        Some(last.with_timezone(&Utc))
    }

    /// The first tick that nothing was delivered for: neither then nor later.
    /// Only ticks from `since` on are expected. It may lie in the future.
    #[must_use]
    pub fn owed_tick(
        &self,
        schedule: &Schedule,
        since: DateTime<Utc>,
        last_delivery: Option<DateTime<Utc>>,
    ) -> Option<DateTime<Utc>> {
        // A tick at `since` itself counts, one that was just delivered does not.
        let from_since = since - TimeDelta::seconds(1);
        let after = last_delivery.map_or(from_since, |at| from_since.max(at + CLOCK_SKEW));
        self.next_tick(schedule, after)
    }

    /// How long `schedule` has been overdue at `moment`: past its owed tick
    /// and the patience of `overdue_after`. Zero when it is not.
    #[must_use]
    pub fn overdue(
        &self,
        schedule: &Schedule,
        since: DateTime<Utc>,
        last_delivery: Option<DateTime<Utc>>,
        moment: DateTime<Utc>,
    ) -> TimeDelta {
        let zero = TimeDelta::zero();
        self.owed_tick(schedule, since, last_delivery)
            .map_or(zero, |owed| moment - owed - schedule.overdue_after)
            .max(zero)
    }
}
