//! The fleet as a whole: when most of it falls silent at once, it is not the
//! kiosks that have failed, but what takes in their heartbeats.
//!
//! Owns the look at all gyms before anything is changed, when the one alert
//! [`FLEET_SILENT`] is raised and resolved, and for how long it keeps kiosks from
//! being judged: in its first night all of them; then those that fell silent
//! before it was opened, until each has been silent through three nights. One
//! that falls silent later is judged, unless most of those that were left do.
//! The moment at which the alert was opened tells which night it is, so runs
//! that come twice, late or not at all change nothing about it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::gyms::{Columns, Cursor, Gyms, Watch};
use super::verdict::{Held, judging};
use super::{BATCH, Results};
use crate::alerts;
use crate::alerts::kinds::FLEET_SILENT;
use crate::database::{Fault, Unprepared};
use crate::engine::{Batch, JobContext, JobError, context};

/// So many kiosks that turn for the worse at once are no accident.
const MANY: i64 = 10;

/// For so long after the alert was opened it is still the same night.
const ONE_NIGHT: TimeDelta = TimeDelta::hours(12);
/// From the first to the third night, less what clocks change and runs vary.
const THREE_NIGHTS: TimeDelta = TimeDelta::hours(46);
/// For so long a dismissed alert tells since when the fleet has been silent.
const REMEMBERED: TimeDelta = TimeDelta::hours(72);

/// What the silence of the fleet lets a run do.
#[derive(Debug)]
pub(super) enum Guard {
    /// Nothing: it is the first night.
    Stop,
    /// Judge all but those that fell silent with the fleet.
    Hold(Held),
    /// Judge all, and then resolve the alert, where it is open.
    Pass { alert: Option<Uuid> },
}

impl Guard {
    /// There is nothing to guard against.
    pub(super) const NONE: Self = Self::Pass { alert: None };
}

/// Looks at the whole fleet; `None` when the budget was spent before. Where it
/// is silent the alert is raised, unless an operator has acknowledged it:
/// then the kiosks are judged one by one.
pub(super) async fn guard(
    ctx: &JobContext,
    gyms: &mut Gyms,
    results: &mut Results,
) -> Result<Option<Guard>, JobError> {
    let silence = Silence::known(ctx).await?;
    let pass = Guard::Pass {
        alert: silence.alert,
    };
    if silence.is_acknowledged {
        return Ok(Some(pass));
    }
    let age = silence.began.map_or(TimeDelta::zero(), |at| ctx.now - at);
    let mut held = Held {
        // Before the third night no silence is old enough to be given up.
        since: if age >= THREE_NIGHTS {
            ctx.now - THREE_NIGHTS
        } else {
            DateTime::UNIX_EPOCH
        },
        until: silence.began.filter(|_| age >= ONE_NIGHT),
    };
    let survey = survey(ctx, gyms, held);
    let Some(fleet) = ctx.fence.with_heartbeat(survey).await?? else {
        return Ok(None);
    };
    if !fleet.is_silent() {
        return Ok(Some(pass));
    }
    alarm(ctx, &fleet, results).await?;
    if held.until.is_none() {
        results.stand(&fleet);
        return Ok(Some(Guard::Stop));
    }
    held.until = held.until.filter(|_| !fleet.is_the_rest_silent());
    Ok(Some(Guard::Hold(held)))
}

/// What the alerts tell of a silence that is not over.
#[derive(Debug, Default)]
struct Silence {
    /// When it was first told. A dismissal ends no silence.
    began: Option<DateTime<Utc>>,
    is_acknowledged: bool,
    /// The alert, when it is open.
    alert: Option<Uuid>,
}

impl Silence {
    async fn known(ctx: &JobContext) -> Result<Self, JobError> {
        let mut tx = ctx.reading().await?;
        let alerts = told(Unprepared(&mut tx), ctx)
            .await
            .map_err(context("look for fleet_silent"))?;
        let mut open = alerts.iter().filter(|alert| alert.status != "dismissed");
        let open = open.next();
        Ok(Self {
            began: alerts.iter().map(|alert| alert.opened_at).min(),
            is_acknowledged: open.is_some_and(|alert| alert.status == "acknowledged"),
            alert: open.map(|alert| alert.id),
        })
    }
}

/// The kiosks, all or of some gyms: their statuses, and how many would turn
/// for the worse.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) online: i64,
    pub(super) degraded: i64,
    pub(super) offline: i64,
    pub(super) untouched: i64,
    worse: i64,
    /// Of those, the ones that fell silent after what is held.
    newer: i64,
    /// Not among them: silent through three nights.
    given_up: i64,
}

impl Fleet {
    /// More than half of the kiosks that were not offline would turn for the
    /// worse, and at least [`MANY`]. Those that are given up count no more.
    fn is_silent(&self) -> bool {
        is_most(self.worse, self.online + self.degraded - self.given_up)
    }

    /// The same of those that had not fallen silent with it.
    fn is_the_rest_silent(&self) -> bool {
        let not_offline = self.online + self.degraded - self.given_up;
        is_most(self.newer, not_offline - (self.worse - self.newer))
    }

    fn add(&mut self, part: &Self) {
        self.online += part.online;
        self.degraded += part.degraded;
        self.offline += part.offline;
        self.untouched += part.untouched;
        self.worse += part.worse;
        self.newer += part.newer;
        self.given_up += part.given_up;
    }
}

fn is_most(silent: i64, all: i64) -> bool {
    silent >= MANY && silent * 2 > all
}

/// Looks at every gym and changes nothing; `None` when the budget was spent
/// before the last. Gyms whose hours are unknown do not count.
async fn survey(ctx: &JobContext, gyms: &mut Gyms, held: Held) -> Result<Option<Fleet>, JobError> {
    let mut fleet = Fleet::default();
    let mut cursor = Cursor::default();
    while !ctx.budget.is_spent() {
        let size = ctx.options.batch_size_or(BATCH);
        let batch = gyms.next(&mut cursor, ctx, size).await?;
        if batch.is_empty() {
            return Ok(Some(fleet));
        }
        let unknown = batch
            .iter()
            .filter(|gym| matches!(gym.watch, Watch::Unknown(_)));
        fleet.untouched += unknown.map(|gym| gym.kiosks).sum::<i64>();
        let mut left = &batch[..];
        while !left.is_empty() && !ctx.budget.is_spent() {
            let asked = ctx
                .part_size
                .of(i64::try_from(left.len()).unwrap_or(i64::MAX));
            let (part, later) = left.split_at(usize::try_from(asked).unwrap_or(left.len()));
            let counted = count_part(ctx, &Columns::of(part, Some(held))).await;
            if let Some(counted) = ctx.part_size.judge(asked, counted)? {
                fleet.add(&counted);
                left = later;
            }
        }
    }
    Ok(None)
}

/// Raises the alert.
async fn alarm(ctx: &JobContext, fleet: &Fleet, results: &mut Results) -> Result<(), JobError> {
    results.fleet_silent = true;
    let details = json!({
        "not_offline_before": fleet.online + fleet.degraded - fleet.given_up,
        "silent_now": fleet.worse,
    });
    let alert = FLEET_SILENT.about("", &[], details);
    let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
        let opened = alerts::open(batch.db()?, &[alert], ctx.now).await;
        sum.opened(ctx, &opened.map_err(context("write fleet_silent"))?);
        Ok(())
    };
    unless_contended(ctx.fence.write(results, write).await)
}

/// Resolves the alert where it is open: the fleet is heard again, or what is
/// silent was judged one by one.
pub(super) async fn calm(
    ctx: &JobContext,
    guard: Option<&Guard>,
    results: &mut Results,
) -> Result<(), JobError> {
    let Some(Guard::Pass { alert: Some(alert) }) = guard else {
        return Ok(());
    };
    let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
        let resolved = alerts::resolve(batch.db()?, &[*alert], ctx.now).await;
        let resolved = resolved.map_err(context("write fleet_silent"))?;
        let keys: Vec<String> = resolved.iter().map(|_| FLEET_SILENT.key("")).collect();
        sum.resolved(ctx, &keys);
        Ok(())
    };
    unless_contended(ctx.fence.write(results, write).await)
}

/// When another transaction holds the alert at this moment, the next run
/// writes it.
fn unless_contended(written: Result<(), JobError>) -> Result<(), JobError> {
    match written {
        Err(error) if error.fault() == Fault::Contended => {
            tracing::warn!(%error, "Skipping the alert fleet_silent until the next run");
            Ok(())
        }
        done => done,
    }
}

async fn count_part(ctx: &JobContext, gyms: &Columns) -> Result<Fleet, JobError> {
    let mut tx = ctx.reading().await?;
    count(Unprepared(&mut tx), ctx, gyms)
        .await
        .map_err(context("survey the fleet"))
}

async fn count(db: Unprepared<'_>, ctx: &JobContext, gyms: &Columns) -> sqlx::Result<Fleet> {
    judging!(
        Fleet,
        r#"
        select count(*) filter (where judged.verdict is not null and k.status = 'online')
                   as "online!",
               count(*) filter (where judged.verdict is not null and k.status = 'degraded')
                   as "degraded!",
               count(*) filter (where judged.verdict is not null and k.status = 'offline')
                   as "offline!",
               count(*) filter (where judged.verdict is null or k.status = 'maintenance')
                   as "untouched!",
               count(*) filter (where worse.is_so and worse.silent_since >= $6) as "worse!",
               count(*) filter (where worse.is_so and worse.silent_since >= $7) as "newer!",
               count(*) filter (where worse.is_so and worse.silent_since < $6) as "given_up!"
            "#,
        "",
        ctx,
        gyms,
    )
    .fetch_one(db)
    .await
}

/// An alert [`FLEET_SILENT`] of the present silence.
#[derive(Debug)]
struct Told {
    id: Uuid,
    status: String,
    opened_at: DateTime<Utc>,
}

async fn told(db: Unprepared<'_>, ctx: &JobContext) -> sqlx::Result<Vec<Told>> {
    sqlx::query_as!(
        Told,
        r#"select id, status, within_calendar(opened_at) as "opened_at!"
           from alerts
          where dedup_key = $1
            and opened_at <= $2
            and (status in ('open', 'acknowledged')
                 or status = 'dismissed' and opened_at > $3)"#,
        FLEET_SILENT.name,
        ctx.now,
        ctx.now - REMEMBERED,
    )
    .fetch_all(db)
    .await
}
