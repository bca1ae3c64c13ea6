//! Uptime: in which share of a gym's opening time a kiosk was heard. The one
//! definition, for the night, the week and whatever else asks.
//!
//! Each stretch of opening time is cut into slots of five minutes, or of two
//! heartbeats of the kiosk's own interval where those take longer, so that one
//! that comes a little late is no miss. A slot counts as up when a heartbeat was
//! received in it. What does not count: what is left of a stretch after its last
//! whole slot; slots before the kiosk was made; slots before the oldest heartbeat
//! that is still kept, unless of the last day, which always is; slots in which a
//! planned maintenance was on. A kiosk of which no heartbeat is or was kept has
//! no uptime, and neither has one that is not in service.
//!
//! Only reads. When a gym was open says [`super::opening_hours`].

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::opening_hours::Span;
use crate::database::Unprepared;
use crate::engine::{JobContext, JobError, context};

/// Kiosks that beat at least once in so many seconds have the shortest slots.
pub const USUAL_INTERVAL: i32 = 150;

/// The slot of a kiosk that beats every so many seconds, as the statement and the
/// view `known_maintenances` say it too. A silence for longer is a miss.
#[must_use]
pub fn slot(interval: i32) -> TimeDelta {
    TimeDelta::seconds(i64::from(interval.max(USUAL_INTERVAL)) * 2)
}

/// Opening time of gyms, column by column as the statement takes it.
#[derive(Debug, Default)]
pub struct OpeningTime {
    gyms: Vec<Uuid>,
    parts: Vec<i32>,
    opens: Vec<DateTime<Utc>>,
    closes: Vec<DateTime<Utc>>,
}

impl OpeningTime {
    /// Adds opening time of a gym; what is of one part is measured together.
    pub fn add(&mut self, gym: Uuid, part: i32, spans: &[Span]) {
        for span in spans {
            self.gyms.push(gym);
            self.parts.push(part);
            self.opens.push(span.from);
            self.closes.push(span.to);
        }
    }
}

/// What a kiosk was measured by, in one part.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The kiosk.
    pub kiosk_id: Uuid,
    /// Its gym.
    pub gym_id: Uuid,
    /// The uptime that the kiosk's row has.
    pub before: Option<f32>,
    /// The part; none for a kiosk that has no slot in any.
    pub part: Option<i32>,
    /// Seconds in slots that count.
    pub open: f64,
    /// Of those, the seconds in slots in which it was heard.
    pub heard: f64,
}

/// The share of the open seconds in which a kiosk, or several, were heard.
#[must_use]
pub fn share(open: f64, heard: f64) -> Option<f64> {
    (open > 0.0).then(|| heard / open)
}

/// Measures every kiosk of these gyms, `at_once` in one statement, and fewer
/// where that takes too long.
///
/// # Errors
/// When one kiosk takes too long too, or there is no time to try; or when the
/// database refuses.
pub async fn measure(
    ctx: &JobContext,
    gyms: &[Uuid],
    time: &OpeningTime,
    at_once: i64,
) -> Result<Vec<Measured>, JobError> {
    let mut all: Vec<Measured> = Vec::new();
    loop {
        let asked = ctx.part_size.of(at_once);
        let after = all.last().map(|last| last.kiosk_id);
        let read = match read(ctx, gyms, time, after, asked).await {
            Err(error) if ctx.budget.is_spent() => return Err(error),
            read => ctx.part_size.judge(asked, read)?,
        };
        if let Some(page) = read {
            let is_last = kiosks_in(&page) < asked;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }
}

/// A kiosk has a row for each of its parts, one after the other.
fn kiosks_in(page: &[Measured]) -> i64 {
    let kiosks = page.chunk_by(|one, next| one.kiosk_id == next.kiosk_id);
    kiosks.count().try_into().unwrap_or(i64::MAX)
}

async fn read(
    ctx: &JobContext,
    gyms: &[Uuid],
    time: &OpeningTime,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Measured>, JobError> {
    let mut tx = ctx.reading().await?;
    sqlx::query_file_as!(
        Measured,
        "src/gyms/uptime.sql",
        &time.gyms,
        &time.parts,
        &time.opens,
        &time.closes,
        gyms,
        after,
        limit,
        ctx.now,
    )
    .fetch_all(Unprepared(&mut tx))
    .await
    .map_err(context("measure uptime"))
}
