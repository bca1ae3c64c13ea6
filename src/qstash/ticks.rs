//! Ticks: the moments at which a schedule is due, and the first one that was
//! not delivered.
//!
//! Pure: every moment is given. Ticks are local times of the file's zone: a
//! tick in an hour that is skipped in spring is due when that hour ends, and a
//! daily tick in an hour that is repeated in autumn is due once.

use chrono::{DateTime, TimeDelta, Utc};

use super::schedules::{Schedule, Schedules};

/// How long before its tick a delivery may have begun: QStash's clock and the
/// database's are two.
const CLOCK_SKEW: TimeDelta = TimeDelta::seconds(30);

impl Schedules {
    /// The last tick of `schedule`, at `moment` or before; `None` when there is
    /// none.
    #[must_use]
    pub fn last_tick(&self, schedule: &Schedule, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = moment.with_timezone(&self.timezone);
        let last = schedule.cron.find_previous_occurrence(&local, true).ok()?;
        Some(last.with_timezone(&Utc))
    }

    /// The first tick without a delivery, then or later. Only ticks from `since`
    /// on are expected. It may lie in the future.
    #[must_use]
    pub fn undelivered_tick(
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

    /// How long `schedule` has been overdue at `moment`: past its first
    /// undelivered tick and `overdue_after`. Zero when it is not.
    #[must_use]
    pub fn overdue(
        &self,
        schedule: &Schedule,
        since: DateTime<Utc>,
        last_delivery: Option<DateTime<Utc>>,
        moment: DateTime<Utc>,
    ) -> TimeDelta {
        let zero = TimeDelta::zero();
        self.undelivered_tick(schedule, since, last_delivery)
            .map_or(zero, |tick| moment - tick - schedule.overdue_after)
            .max(zero)
    }
}
