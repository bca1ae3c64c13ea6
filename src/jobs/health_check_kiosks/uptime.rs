//! The uptime of each kiosk over the last 24 opening hours of its gym, as
//! [`crate::gyms::uptime`] defines it, in `kiosks.uptime`.
//!
//! The hours end at the last full hour, so that two runs in one hour agree.
//! Measuring only reads, and writing takes what was measured: no row is locked
//! while heartbeats are counted.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::MEASURED_AT_ONCE;
use super::gyms::{Gym, Watch};
use crate::engine::{Batch, JobContext, JobError, context};
use crate::gyms::opening_hours::{Hours, Span};
use crate::gyms::uptime::{self, Measured, OpeningTime};

/// How much opening time is looked at.
const LENGTH: TimeDelta = TimeDelta::hours(24);

/// From 0 to 1; none for a kiosk that had no slot.
pub(super) fn of(kiosk: &Measured) -> Option<f32> {
    let share = uptime::share(kiosk.open, kiosk.heard)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "four digits fit into a real"
    )]
    let rounded = ((share * 1e4).round() / 1e4) as f32;
    Some(rounded)
}

/// Measures the kiosks of these gyms.
pub(super) async fn measure(
    ctx: &JobContext,
    gyms: &[Arc<Gym>],
) -> Result<Vec<Measured>, JobError> {
    let mut time = OpeningTime::default();
    let mut known = Vec::with_capacity(gyms.len());
    for gym in gyms {
        match &gym.watch {
            Watch::Since(silence) => time.add(gym.id, 0, &silence.measured),
            Watch::Never => {}
            Watch::Unknown(_) => continue,
        }
        known.push(gym.id);
    }
    uptime::measure(ctx, &known, &time, MEASURED_AT_ONCE.into()).await
}

/// The opening time in which uptime is measured.
pub(super) fn measured_hours(hours: &Hours, now: DateTime<Utc>) -> Vec<Span> {
    hours.latest(last_full_hour(now), LENGTH)
}

/// Writes what was measured where it is still news.
///
/// Locking all rows in order first would cost half as much again; when another
/// transaction takes several kiosks in another order, this one is retried.
pub(super) async fn write(batch: &mut Batch<'_>, measured: &[Measured]) -> Result<(), JobError> {
    let news = measured.iter().filter(|kiosk| of(kiosk) != kiosk.before);
    let (kiosks, uptimes): (Vec<Uuid>, Vec<Option<f32>>) =
        news.map(|kiosk| (kiosk.kiosk_id, of(kiosk))).unzip();
    if kiosks.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update kiosks k
            set uptime = measured.uptime
           from unnest($1::uuid[], $2::real[]) as measured (id, uptime)
          where k.id = measured.id
            and k.uptime is distinct from measured.uptime",
        &kiosks,
        &uptimes as &[Option<f32>],
    )
    .execute(batch.db()?)
    .await
    .map_err(context("write uptime"))?;
    Ok(())
}

fn last_full_hour(now: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = now.timestamp();
    DateTime::from_timestamp(seconds - seconds.rem_euclid(3600), 0).unwrap_or(now)
}
