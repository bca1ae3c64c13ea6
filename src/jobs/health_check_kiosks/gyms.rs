//! The walk over the gyms: in the order of their ids, in batches of so many
//! kiosks. A gym is never split, because it is judged as a whole too.
//!
//! Turns each gym's hours into the instants that decide about its kiosks,
//! once for a run, as long as so many gyms fit into memory.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::Result;
use uuid::Uuid;

use super::uptime;
use crate::database::Unprepared;
use crate::engine::{JobContext, JobError, context};
use crate::gyms::opening_hours::{Hours, Span};

/// Silent for longer is degraded.
const DEGRADED_AFTER: TimeDelta = TimeDelta::minutes(5);
/// Silent for longer is offline.
const OFFLINE_AFTER: TimeDelta = TimeDelta::minutes(30);
/// Gyms that are read at once.
const GYMS_AHEAD: i64 = 1_000;
/// Gyms that are kept for the next walk; of more, all are read again.
const GYMS_KEPT: usize = 20_000;

/// A gym, as far as its kiosks are concerned.
#[derive(Debug)]
pub(super) struct Gym {
    pub(super) id: Uuid,
    /// How many kiosks it has.
    pub(super) kiosks: i64,
    pub(super) watch: Watch,
}

/// Whether, and since when, a gym's kiosks should have been heard.
#[derive(Debug)]
pub(super) enum Watch {
    /// By its opening hours.
    Since(Silence),
    /// Not at all: it is suspended or cancelled, or it was never open.
    Never,
    /// Nobody can say, for this reason; the gym is left alone.
    Unknown(String),
}

/// What a last sign is worth.
#[derive(Debug)]
pub(super) struct Silence {
    /// A kiosk that was last heard before is degraded.
    degraded_before: DateTime<Utc>,
    /// A kiosk that was last heard before is offline.
    offline_before: DateTime<Utc>,
    /// The opening time that uptime is measured in.
    pub(super) measured: Vec<Span>,
}

/// The gyms of a run.
#[derive(Debug, Default)]
pub(super) struct Gyms {
    kept: Vec<Arc<Gym>>,
    are_all_kept: bool,
}

/// Where a walk over them stands.
#[derive(Debug, Default)]
pub(super) struct Walk {
    after: Option<Uuid>,
    ahead: VecDeque<Arc<Gym>>,
    read: usize,
    at_the_end: bool,
    /// It did not begin at the first gym.
    is_a_rest: bool,
}

impl Walk {
    /// A walk over the gyms after this one; over all without one.
    pub(super) fn after(gym: Option<Uuid>) -> Self {
        Self {
            after: gym,
            is_a_rest: gym.is_some(),
            ..Self::default()
        }
    }
}

impl Gyms {
    /// The next gyms, with at most `kiosks` kiosks unless one alone has more;
    /// none at the end.
    pub(super) async fn next(
        &mut self,
        walk: &mut Walk,
        ctx: &JobContext,
        kiosks: i64,
    ) -> Result<Vec<Arc<Gym>>, JobError> {
        let mut batch = Vec::new();
        let mut room = kiosks;
        loop {
            if walk.ahead.is_empty() && !walk.at_the_end {
                self.read_ahead(walk, ctx).await?;
            }
            let fits = |gym: &mut Arc<Gym>| batch.is_empty() || gym.kiosks <= room;
            let Some(gym) = walk.ahead.pop_front_if(fits) else {
                return Ok(batch);
            };
            room -= gym.kiosks;
            batch.push(gym);
        }
    }

    async fn read_ahead(&mut self, walk: &mut Walk, ctx: &JobContext) -> Result<(), JobError> {
        if self.are_all_kept {
            let lies_ahead = |gym: &&Arc<Gym>| walk.after.is_none_or(|after| gym.id > after);
            walk.ahead = self.kept.iter().filter(lies_ahead).cloned().collect();
            walk.at_the_end = true;
            return Ok(());
        }
        let mut tx = ctx.reading().await?;
        let rows = pick(Unprepared(&mut tx), ctx, walk.after)
            .await
            .map_err(context("pick gyms"))?;
        walk.after = rows.last().map(|row| row.id).or(walk.after);
        walk.at_the_end = i64::try_from(rows.len()).is_ok_and(|read| read < GYMS_AHEAD);
        let gyms = rows.iter().map(|row| Arc::new(Gym::read(row, ctx.now)));
        walk.ahead = gyms.collect();
        if !walk.is_a_rest
            && self.kept.len() == walk.read
            && walk.read + walk.ahead.len() <= GYMS_KEPT
        {
            self.kept.extend(walk.ahead.iter().cloned());
            self.are_all_kept = walk.at_the_end;
        }
        walk.read += walk.ahead.len();
        Ok(())
    }
}

/// Gyms column by column, as statements take them; null where no kiosk is
/// watched.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) ids: Vec<Uuid>,
    pub(super) degraded_before: Vec<Option<DateTime<Utc>>>,
    pub(super) offline_before: Vec<Option<DateTime<Utc>>>,
}

impl Columns {
    /// Of those gyms about whose hours something is known.
    pub(super) fn of(gyms: &[Arc<Gym>]) -> Self {
        let mut columns = Self::default();
        for gym in gyms {
            let silence = match &gym.watch {
                Watch::Since(silence) => Some(silence),
                Watch::Never => None,
                Watch::Unknown(_) => continue,
            };
            let (late, lost) = silence
                .map(|silence| (silence.degraded_before, silence.offline_before))
                .unzip();
            columns.ids.push(gym.id);
            columns.degraded_before.push(late);
            columns.offline_before.push(lost);
        }
        columns
    }
}

impl Gym {
    fn read(row: &Row, now: DateTime<Utc>) -> Self {
        let watch = match Hours::read(row.opening_hours.as_ref(), &row.timezone) {
            _ if row.is_out => Watch::Never,
            Ok(hours) => Silence::of(&hours, now).map_or(Watch::Never, Watch::Since),
            Err(reason) => Watch::Unknown(reason.to_string()),
        };
        Self {
            id: row.id,
            kiosks: row.kiosks,
            watch,
        }
    }
}

impl Silence {
    fn of(hours: &Hours, now: DateTime<Utc>) -> Option<Self> {
        Some(Self {
            degraded_before: hours.silent_since(now, DEGRADED_AFTER)?,
            offline_before: hours.silent_since(now, OFFLINE_AFTER)?,
            measured: uptime::measured_hours(hours, now),
        })
    }
}

struct Row {
    id: Uuid,
    is_out: bool,
    timezone: String,
    opening_hours: Option<Value>,
    kiosks: i64,
}

async fn pick(db: Unprepared<'_>, ctx: &JobContext, after: Option<Uuid>) -> Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"
        select g.id, g.status in ('suspended', 'cancelled') as "is_out!", g.timezone,
               g.opening_hours,
               (
                   select count(*)
                     from kiosks k
                    where k.gym_id = g.id
                      and k.created_at <= $1
               ) as "kiosks!"
          from gyms g
         where ($2::uuid is null or g.id > $2)
           and ($3::uuid is null or g.id = $3)
         order by g.id
         limit $4
        "#,
        ctx.now,
        after,
        ctx.options.gym_id,
        GYMS_AHEAD,
    )
    .fetch_all(db)
    .await
}
