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
use crate::gyms::uptime::{USUAL_INTERVAL, slot};

/// Silent for longer is offline, if that is longer than [`MISSED`].
const OFFLINE_AFTER: TimeDelta = TimeDelta::minutes(30);
/// So many slots of uptime without a sign are offline; one is degraded.
const MISSED: i32 = 2;
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
    /// By the kiosks' own intervals, the shortest first.
    limits: Vec<Limit>,
    /// The opening time that uptime is measured in.
    pub(super) measured: Vec<Span>,
}

/// What a last sign of kiosks is worth that beat about every so many seconds.
#[derive(Debug, Clone, Copy)]
struct Limit {
    above: i32,
    upto: i32,
    /// A kiosk that was last heard before is degraded.
    degraded_before: Option<DateTime<Utc>>,
    /// A kiosk that was last heard before is offline.
    offline_before: Option<DateTime<Utc>>,
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

/// The limits of gyms column by column, as statements take them. Every kiosk of
/// a gym has one; nulls where no kiosk is watched.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) ids: Vec<Uuid>,
    pub(super) above: Vec<i32>,
    pub(super) upto: Vec<i32>,
    pub(super) degraded_before: Vec<Option<DateTime<Utc>>>,
    pub(super) offline_before: Vec<Option<DateTime<Utc>>>,
    pub(super) held: Option<Held>,
}

impl Columns {
    /// The gyms whose hours are known.
    pub(super) fn of(gyms: &[Arc<Gym>], held: Option<Held>) -> Self {
        let mut columns = Self {
            held,
            ..Self::default()
        };
        for gym in gyms {
            let limits = match &gym.watch {
                Watch::Since(silence) => &silence.limits[..],
                Watch::Never => &[Limit::NONE],
                Watch::Unknown(_) => &[],
            };
            for limit in limits {
                columns.ids.push(gym.id);
                columns.above.push(limit.above);
                columns.upto.push(limit.upto);
                columns.degraded_before.push(limit.degraded_before);
                columns.offline_before.push(limit.offline_before);
            }
        }
        columns
    }
}

impl Limit {
    const NONE: Self = Self {
        above: 0,
        upto: i32::MAX,
        degraded_before: None,
        offline_before: None,
    };
}

impl Silence {
    /// For kiosks with the usual interval, and with each of these longer ones. One
    /// whose interval was changed since has the limit of the next shorter.
    fn of(hours: &Hours, now: DateTime<Utc>, longer: &[i32]) -> Option<Self> {
        let mut limits: Vec<Limit> = Vec::new();
        for seconds in std::iter::once(&0).chain(longer) {
            let slot = slot(*seconds);
            if let Some(shorter) = limits.last_mut() {
                shorter.upto = seconds - 1;
            }
            limits.push(Limit {
                above: seconds - 1,
                upto: i32::MAX,
                degraded_before: Some(hours.silent_since(now, slot)?),
                offline_before: Some(hours.silent_since(now, OFFLINE_AFTER.max(slot * MISSED))?),
            });
        }
        Some(Self {
            limits,
            measured: uptime::measured_hours(hours, now),
        })
    }
}

async fn pick(db: Unprepared<'_>, ctx: &JobContext, after: Option<Uuid>) -> Result<Vec<Arc<Gym>>> {
    let rows = sqlx::query!(
        r#"
        select g.id, g.status in ('suspended', 'cancelled') as "is_out!", g.timezone,
               g.opening_hours::text as opening_hours,
               fleet.kiosks as "kiosks!", coalesce(fleet.longer, '{}') as "longer!"
          from gyms g
         cross join lateral (
               select count(*) as kiosks,
                      array_agg(distinct k.heartbeat_interval_seconds)
                          filter (where k.heartbeat_interval_seconds > $5) as longer
                 from kiosks k
                where k.gym_id = g.id
                  and k.created_at <= $1
         ) fleet
         where ($2::uuid is null or g.id > $2)
           and ($3::uuid is null or g.id = $3)
         order by g.id
         limit $4
        "#,
        ctx.now,
        after,
        ctx.options.gym_id,
        GYMS_AHEAD,
        USUAL_INTERVAL,
    )
    .fetch_all(db)
    .await?;
    let gyms = rows.into_iter().map(|row| {
        let watch = match Hours::of_text(row.opening_hours.as_deref(), &row.timezone) {
            _ if row.is_out => Watch::Never,
            Ok(hours) => {
                Silence::of(&hours, ctx.now, &row.longer).map_or(Watch::Never, Watch::Since)
            }
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
