//! How many messages the schedules make in a day, for a plan's quota.
//!
//! Counted from the file alone, without continuations, fan-out and retries
//! that pass midnight.

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::Serialize;

use super::clock_changes::{Kind, changes, falls_on};
use super::{Schedule, Schedules, cron};

/// Days looked at: a leap year has every day there is.
const DAYS: u64 = 366;

/// Messages in a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deliveries {
    /// The busiest local day from now on.
    pub busiest_day: NaiveDate,
    /// Deliveries on it when each succeeds at once.
    pub on_busiest_day: u32,
    /// Messages on it when each delivery fails, with every retry, and the
    /// failure callback fails likewise. QStash counts each attempt.
    pub when_all_fail: u32,
    /// Deliveries on the quietest day.
    pub on_quietest_day: u32,
}

impl Schedules {
    /// The messages of a day, over a year from `now`.
    #[must_use]
    pub fn deliveries(&self, now: DateTime<Utc>) -> Deliveries {
        let today = now.with_timezone(&self.timezone).date_naive();
        let days = (0..DAYS).filter_map(|day| today.checked_add_days(Days::new(day)));
        let extra = self.extra(now);
        let mut deliveries = Deliveries {
            busiest_day: today,
            on_busiest_day: 0,
            when_all_fail: 0,
            on_quietest_day: u32::MAX,
        };
        for day in days {
            let counts = self.schedules.iter().zip(&extra).map(|(schedule, extra)| {
                let usual = cron::ticks_on(&schedule.cron, day).cast_signed();
                let changed: isize = extra
                    .iter()
                    .filter(|(on, _)| *on == day)
                    .map(|(_, ticks)| ticks)
                    .sum();
                let count = u32::try_from(usual + changed).unwrap_or_default();
                (count, count * schedule.messages_of_a_failure())
            });
            let (count, failing) = counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            deliveries.on_quietest_day = deliveries.on_quietest_day.min(count);
            if count > deliveries.on_busiest_day {
                deliveries.on_busiest_day = count;
                deliveries.when_all_fail = failing;
                deliveries.busiest_day = day;
            }
        }
        deliveries
    }

    /// For each schedule, the days of a changed clock and the ticks they have
    /// more, or fewer.
    fn extra(&self, now: DateTime<Utc>) -> Vec<Vec<(NaiveDate, isize)>> {
        let changes: Vec<_> = changes(self.timezone, now).take(4).collect();
        let ticks = |schedule: &Schedule| {
            let ticks = changes.iter().flat_map(|change| {
                let each = match change.kind {
                    Kind::Missing => -1,
                    Kind::Doubled => 1,
                };
                let minutes = change.minutes();
                minutes
                    .filter(|minute| falls_on(schedule, *minute))
                    .map(move |minute| (minute.date(), each))
            });
            ticks.collect()
        };
        self.schedules.iter().map(ticks).collect()
    }
}

impl Schedule {
    /// Messages of one delivery that fails for good. The failure callback has
    /// as many retries: <https://upstash.com/docs/qstash/features/callbacks>.
    fn messages_of_a_failure(&self) -> u32 {
        let attempts = 1 + self.delivery.retries;
        match self.delivery.failure_callback {
            Some(_) => attempts * 2,
            None => attempts,
        }
    }
}
