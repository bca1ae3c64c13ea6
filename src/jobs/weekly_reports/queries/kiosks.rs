//! The uptime of each gym's kiosks, this week and last, as
//! [`crate::gyms::uptime`] defines it: of all opening time of all kiosks, the
//! share in which they were heard.

use std::collections::HashMap;

use super::{Candidate, Counts, Weeks};
use crate::database::{Transaction, Unprepared};
use crate::engine::{JobContext, JobError};
use crate::gyms::opening_hours::Hours;
use crate::gyms::uptime::{OpeningTime, measure, share};

const LAST: i32 = 0;
const THIS: i32 = 1;
/// Kiosks that are measured at once, over two weeks.
const AT_ONCE: i64 = 100;

/// The opening time to measure. What last week's report has told is counted at
/// once; a gym whose hours cannot be read has no uptime.
pub(super) async fn opening_time(
    db: &mut Transaction,
    weeks: &Weeks,
    candidates: &[Candidate],
    counts: &mut Counts,
) -> sqlx::Result<OpeningTime> {
    let mut time = OpeningTime::default();
    let weeks_of: HashMap<_, _> = candidates
        .iter()
        .map(|gym| (gym.gym_id, gym.week))
        .collect();
    for row in over_weeks!("src/jobs/weekly_reports/queries/kiosks.sql", weeks, db) {
        *counts.entry(row.gym_id).or_default().uptime.of(false) = row.last_share;
        let hours = Hours::of_text(row.opening_hours.as_deref(), &row.timezone);
        let Some(week) = weeks_of.get(&row.gym_id) else {
            continue;
        };
        let hours = match hours {
            Ok(hours) => hours,
            Err(error) => {
                tracing::warn!(gym_id = %row.gym_id, %error, "Skipping the uptime of a gym");
                continue;
            }
        };
        time.add(row.gym_id, THIS, &hours.spans(week.starts, week.ends));
        if row.last_share.is_none() {
            time.add(
                row.gym_id,
                LAST,
                &hours.spans(week.last_starts, week.starts),
            );
        }
    }
    Ok(time)
}

/// Measures it.
pub(super) async fn uptime(
    ctx: &JobContext,
    weeks: &Weeks,
    time: &OpeningTime,
    counts: &mut Counts,
) -> Result<(), JobError> {
    let mut sums: HashMap<_, (f64, f64)> = HashMap::new();
    for kiosk in measure(ctx, &weeks.gyms, time, AT_ONCE).await? {
        if let Some(part) = kiosk.part {
            let sum = sums.entry((kiosk.gym_id, part)).or_default();
            *sum = (sum.0 + kiosk.open, sum.1 + kiosk.heard);
        }
    }
    for ((gym, part), (open, heard)) in sums {
        let gym = counts.entry(gym).or_default();
        *gym.uptime.of(part == THIS) = share(open, heard);
    }
    Ok(())
}
