//! Uptime: in which share of the last 24 opening hours a kiosk was heard.
//!
//! Opening time is cut into slots of five minutes, or of two heartbeats where
//! those take longer; a slot counts as up when a heartbeat was received in
//! it. The hours end at the last full hour, so that two runs in one hour
//! agree. Slots before a kiosk was made do not count, and neither does what
//! is left of a stretch of opening time after its last whole slot.
//!
//! Measuring only reads, and writing takes what was measured: no row is
//! locked while heartbeats are counted.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::gyms::{Columns, Gym, Watch};
use super::verdict::judging;
use crate::database::Unprepared;
use crate::engine::{JobContext, JobError, context};
use crate::gyms::opening_hours::{Hours, Span};

/// How much opening time is looked at.
const LENGTH: TimeDelta = TimeDelta::hours(24);

/// The slots of one kiosk, and those it was heard in.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    pub(super) gym_id: Uuid,
    kiosk_id: Uuid,
    /// The uptime that the kiosk's row has.
    before: Option<f32>,
    slots: f64,
    heard: f64,
}

impl Measured {
    /// From 0 to 1; none for a kiosk that no run watches or that had no slot.
    pub(super) fn uptime(&self) -> Option<f32> {
        let share = (self.slots > 0.0).then(|| self.heard / self.slots);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "four digits fit into a real"
        )]
        share.map(|share| ((share * 1e4).round() / 1e4) as f32)
    }

    /// Another than the kiosk's row has.
    pub(super) fn is_news(&self) -> bool {
        self.uptime() != self.before
    }
}

/// Measures the kiosks of these gyms.
pub(super) async fn measure(
    ctx: &JobContext,
    gyms: &[Arc<Gym>],
) -> Result<Vec<Measured>, JobError> {
    let mut tx = ctx.reading().await?;
    count_slots(Unprepared(&mut tx), ctx, gyms)
        .await
        .map_err(context("measure uptime"))
}

/// The opening time in which uptime is measured.
pub(super) fn measured_hours(hours: &Hours, now: DateTime<Utc>) -> Vec<Span> {
    hours.latest(last_full_hour(now), LENGTH)
}

/// Writes what was measured where it is still news.
///
/// Locking all rows in order first would cost half as much again; when another
/// transaction takes several kiosks in another order, this one is retried.
pub(super) async fn write(db: Unprepared<'_>, measured: &[&Measured]) -> Result<()> {
    let kiosks: Vec<Uuid> = measured.iter().map(|kiosk| kiosk.kiosk_id).collect();
    let uptimes: Vec<Option<f32>> = measured.iter().map(|kiosk| kiosk.uptime()).collect();
    sqlx::query!(
        "update kiosks k
            set uptime = measured.uptime
           from unnest($1::uuid[], $2::real[]) as measured (id, uptime)
          where k.id = measured.id
            and k.uptime is distinct from measured.uptime",
        &kiosks,
        &uptimes as &[Option<f32>],
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn count_slots(
    db: Unprepared<'_>,
    ctx: &JobContext,
    gyms: &[Arc<Gym>],
) -> Result<Vec<Measured>> {
    let (of, opens, closes) = spans(gyms);
    judging!(
        Measured,
        "
        with kiosk as materialized (
        select k.id, k.gym_id, judged.verdict is not null as is_watched, k.created_at, k.uptime,
               make_interval(secs => greatest(300, 2.0 * k.heartbeat_interval_seconds)) as slot",
        r#"
        ), measured as (
            select kiosk.id, sum(cut.slots) as slots, sum(beats.heard::float8) as heard
              from unnest($6::uuid[], $7::timestamptz[], $8::timestamptz[])
                   as span (gym_id, opens, closes)
              join kiosk
                on kiosk.gym_id = span.gym_id
             cross join lateral (
                  select greatest(span.opens, kiosk.created_at) as opens
             ) begun
             cross join lateral (
                  select floor(date_part('epoch', span.closes - begun.opens)
                               / date_part('epoch', kiosk.slot)) as slots
             ) cut
             cross join lateral (
                  select count(distinct date_bin(kiosk.slot, b.received_at, begun.opens)) as heard
                    from kiosk_heartbeats b
                   where b.kiosk_id = kiosk.id
                     and b.received_at >= begun.opens
                     and b.received_at < begun.opens + cut.slots * kiosk.slot
             ) beats
             where kiosk.is_watched
               and cut.slots >= 1
             group by kiosk.id
        )
        select kiosk.gym_id, kiosk.id as kiosk_id, kiosk.uptime as before,
               coalesce(measured.slots, 0) as "slots!",
               coalesce(measured.heard, 0) as "heard!"
          from kiosk
          left join measured
            on measured.id = kiosk.id
        "#,
        ctx,
        Columns::of(gyms),
        &of,
        &opens,
        &closes,
    )
    .fetch_all(db)
    .await
}

/// The opening time to look at, column by column.
fn spans(gyms: &[Arc<Gym>]) -> (Vec<Uuid>, Vec<DateTime<Utc>>, Vec<DateTime<Utc>>) {
    let watched = gyms.iter().filter_map(|gym| match &gym.watch {
        Watch::Since(silence) => Some((gym.id, &silence.measured)),
        _ => None,
    });
    watched
        .flat_map(|(gym, spans)| spans.iter().map(move |span| (gym, span.from, span.to)))
        .collect()
}

fn last_full_hour(now: DateTime<Utc>) -> DateTime<Utc> {
    let seconds = now.timestamp();
    DateTime::from_timestamp(seconds - seconds.rem_euclid(3600), 0).unwrap_or(now)
}
