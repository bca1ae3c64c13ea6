//! The cursor over the gyms: in the order of their ids, in batches of so many
//! kiosks. A gym is never split, because it is judged as a whole too.
//!
//! Turns each gym's hours into the instants that decide about its kiosks,
//! once for a run, as long as so many gyms fit into memory.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::uptime;
use super::verdict::Held;
use crate::database::Unprepared;
use crate::engine::{JobContext, JobError, context};
use crate::gyms::opening_hours::{Hours, Span};

/// Silent for longer is degraded.
const DEGRADED_AFTER: TimeDelta = TimeDelta::minutes(5);
/// Silent for longer is offline.
const OFFLINE_AFTER: TimeDelta = TimeDelta::minutes(30);
/// Gyms that are read at once.
const GYMS_AHEAD: i64 = 1_000;
/// Gyms that are kept for the next pass; of more, all are read again.
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
    /// Unknown, for this reason; the gym is left alone.
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

/// The position in one pass over them.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    after: Option<Uuid>,
    ahead: VecDeque<Arc<Gym>>,
    read: usize,
    at_the_end: bool,
    /// It did not begin at the first gym.
    starts_later: bool,
}

impl Cursor {
    /// A pass over the gyms after this one; over all without one.
    pub(super) fn after(gym: Option<Uuid>) -> Self {
        Self {
            after: gym,
            starts_later: gym.is_some(),
            ..Self::default()
        }
    }
}

impl Gyms {
    /// The next gyms, with at most `kiosks` kiosks unless one alone has more;
    /// none at the end.
    pub(super) async fn next(
        &mut self,
        cursor: &mut Cursor,
        ctx: &JobContext,
        kiosks: i64,
    ) -> Result<Vec<Arc<Gym>>, JobError> {
        let mut batch = Vec::new();
        let mut room = kiosks;
        loop {
            if cursor.ahead.is_empty() && !cursor.at_the_end {
                self.read_ahead(cursor, ctx).await?;
            }
            let fits = |gym: &mut Arc<Gym>| batch.is_empty() || gym.kiosks <= room;
            let Some(gym) = cursor.ahead.pop_front_if(fits) else {
                return Ok(batch);
            };
            room -= gym.kiosks;
            batch.push(gym);
        }
    }

    async fn read_ahead(&mut self, cursor: &mut Cursor, ctx: &JobContext) -> Result<(), JobError> {
        if self.are_all_kept {
            let lies_ahead = |gym: &&Arc<Gym>| cursor.after.is_none_or(|after| gym.id > after);
            cursor.ahead = self.kept.iter().filter(lies_ahead).cloned().collect();
            cursor.at_the_end = true;
            return Ok(());
        }
        let mut tx = ctx.reading().await?;
        let gyms = pick(Unprepared(&mut tx), ctx, cursor.after)
            .await
            .map_err(context("pick gyms"))?;
        cursor.after = gyms.last().map(|gym| gym.id).or(cursor.after);
        cursor.at_the_end = i64::try_from(gyms.len()).is_ok_and(|read| read < GYMS_AHEAD);
        cursor.ahead = gyms.into();
        if !cursor.starts_later
            && self.kept.len() == cursor.read
            && cursor.read + cursor.ahead.len() <= GYMS_KEPT
        {
            self.kept.extend(cursor.ahead.iter().cloned());
            self.are_all_kept = cursor.at_the_end;
        }
        cursor.read += cursor.ahead.len();
        Ok(())
    }
}

/// Gyms column by column, as statements take them; null where no kiosk is
/// watched.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) ids: Vec<Uuid>,
    pub(super) degraded_before: Vec<Option<DateTime<Utc>>>,
    pub(super) offline_before: Vec<Option<DateTime<Utc>>>,
    pub(super) held: Option<Held>,
}

impl Columns {
    /// The gyms whose hours are known.
    pub(super) fn of(gyms: &[Arc<Gym>], held: Option<Held>) -> Self {
        let known = gyms.iter().filter_map(|gym| match &gym.watch {
            Watch::Since(silence) => {
                let (degraded, offline) = (silence.degraded_before, silence.offline_before);
                Some((gym.id, Some(degraded), Some(offline)))
            }
            Watch::Never => Some((gym.id, None, None)),
            Watch::Unknown(_) => None,
        });
        let (ids, degraded_before, offline_before) = known.collect();
        Self {
            ids,
            degraded_before,
            offline_before,
            held,
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

async fn pick(db: Unprepared<'_>, ctx: &JobContext, after: Option<Uuid>) -> Result<Vec<Arc<Gym>>> {
    let rows = sqlx::query!(
        r#"
        select g.id, g.status in ('suspended', 'cancelled') as "is_out!", g.timezone,
               g.opening_hours::text as opening_hours,
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
    .await?;
    let gyms = rows.into_iter().map(|row| {
        let watch = match Hours::of_text(row.opening_hours.as_deref(), &row.timezone) {
            _ if row.is_out => Watch::Never,
            Ok(hours) => Silence::of(&hours, ctx.now).map_or(Watch::Never, Watch::Since),
            Err(reason) => Watch::Unknown(reason.to_string()),
        };
        Arc::new(Gym {
            id: row.id,
            kiosks: row.kiosks,
            watch,
        })
    });
    Ok(gyms.collect())
}
