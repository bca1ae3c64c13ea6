//! The fleet as a whole: when most of it falls silent at once, it is not the
//! kiosks that have failed, but what takes in their heartbeats.
//!
//! Owns the look at all gyms before anything is changed, and the one alert
//! `fleet_silent`. A dismissed one is opened again a day later at the
//! earliest.

use serde_json::json;
use sqlx::Result;

use super::gyms::{Columns, Gyms, Walk, Watch};
use super::verdict::judging;
use super::{BATCH, Results};
use crate::database::{Fault, Unprepared};
use crate::engine::{Batch, JobContext, JobError, context};

/// So many kiosks that turn for the worse at once are no accident.
const MANY: i64 = 10;

/// The one alert's key, and its kind.
const KEY: &str = "fleet_silent";

/// All kiosks: how they stand, and how many would turn for the worse.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    online: i64,
    degraded: i64,
    offline: i64,
    untouched: i64,
    worse: i64,
    /// Whether the alert stands open.
    is_alarmed: bool,
}

impl Fleet {
    /// More than half of the kiosks that were not offline would turn for the
    /// worse, and at least [`MANY`].
    pub(super) fn is_silent(&self) -> bool {
        self.worse >= MANY && self.worse * 2 > self.online + self.degraded
    }
}

/// Looks at every gym and changes nothing; `None` when the budget was spent
/// before the last. Gyms whose hours are unknown say nothing.
pub(super) async fn survey(ctx: &JobContext, gyms: &mut Gyms) -> Result<Option<Fleet>, JobError> {
    let mut fleet = Fleet::default();
    let mut walk = Walk::default();
    while !ctx.budget.is_spent() {
        let size = ctx.options.batch_size_or(BATCH);
        let batch = gyms.next(&mut walk, ctx, size).await?;
        let mut tx = ctx.reading().await?;
        if batch.is_empty() {
            fleet.is_alarmed = is_alarmed(Unprepared(&mut tx), ctx)
                .await
                .map_err(context("look for fleet_silent"))?;
            return Ok(Some(fleet));
        }
        let unknown = batch
            .iter()
            .filter(|gym| matches!(gym.watch, Watch::Unknown(_)));
        fleet.untouched += unknown.map(|gym| gym.kiosks).sum::<i64>();
        let part = count(Unprepared(&mut tx), ctx, &Columns::of(&batch))
            .await
            .map_err(context("survey the fleet"))?;
        fleet.add(&part);
    }
    Ok(None)
}

/// Says that the fleet is silent; the results tell how the kiosks stand.
pub(super) async fn alarm(
    ctx: &JobContext,
    fleet: &Fleet,
    results: &mut Results,
) -> Result<(), JobError> {
    results.total = fleet.online + fleet.degraded + fleet.offline + fleet.untouched;
    results.online = fleet.online;
    results.degraded = fleet.degraded;
    results.offline = fleet.offline;
    results.untouched = fleet.untouched;
    results.fleet_silent = true;
    let mut batch = ctx.fence.batch().await?;
    let opened = open(batch.db()?, ctx, fleet).await;
    let mut sum = results.clone();
    if let Ok(true) = opened {
        sum.alerts_opened += 1;
        sum.sample(ctx, "alerts_opened", vec![KEY.to_owned()]);
    }
    *results = end(batch, opened.map(|_| ()), sum, results).await?;
    Ok(())
}

/// Resolves the alert where it is open: the fleet is heard again.
pub(super) async fn calm(
    ctx: &JobContext,
    fleet: &Fleet,
    results: &mut Results,
) -> Result<(), JobError> {
    if !fleet.is_alarmed {
        return Ok(());
    }
    let mut batch = ctx.fence.batch().await?;
    let resolved = resolve(batch.db()?, ctx).await;
    let mut sum = results.clone();
    if let Ok(1) = resolved {
        sum.alerts_resolved += 1;
        sum.sample(ctx, "alerts_resolved", vec![KEY.to_owned()]);
    }
    *results = end(batch, resolved.map(|_| ()), sum, results).await?;
    Ok(())
}

/// Commits; an alert that somebody holds at this moment is left to the next
/// run. Answers the results that hold then.
async fn end(
    batch: Batch<'_>,
    written: Result<()>,
    sum: Results,
    before: &Results,
) -> Result<Results, JobError> {
    match written.map_err(context("write fleet_silent")) {
        Ok(()) => batch.commit(&sum).await.map(|()| sum),
        Err(stop) if stop.fault() == Fault::Contended => {
            tracing::warn!(error = %stop, "fleet_silent is left to the next run");
            batch.undo().await.map(|()| before.clone())
        }
        Err(stop) => Err(stop),
    }
}

/// What one batch adds.
#[derive(Debug)]
struct Part {
    online: i64,
    degraded: i64,
    offline: i64,
    untouched: i64,
    worse: i64,
}

impl Fleet {
    fn add(&mut self, part: &Part) {
        self.online += part.online;
        self.degraded += part.degraded;
        self.offline += part.offline;
        self.untouched += part.untouched;
        self.worse += part.worse;
    }
}

async fn count(db: Unprepared<'_>, ctx: &JobContext, gyms: &Columns) -> Result<Part> {
    judging!(
        Part,
        r#"
        select count(*) filter (where judged.verdict is not null and k.status = 'online')
                   as "online!",
               count(*) filter (where judged.verdict is not null and k.status = 'degraded')
                   as "degraded!",
               count(*) filter (where judged.verdict is not null and k.status = 'offline')
                   as "offline!",
               count(*) filter (where judged.verdict is null or k.status = 'maintenance')
                   as "untouched!",
               count(*) filter (where (k.status, judged.verdict) in (
                   ('online', 'degraded'), ('online', 'offline'), ('degraded', 'offline')
               )) as "worse!""#,
        "",
        ctx,
        gyms,
    )
    .fetch_one(db)
    .await
}

async fn is_alarmed(db: Unprepared<'_>, ctx: &JobContext) -> Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from alerts
             where dedup_key = $2
               and status in ('open', 'acknowledged')
               and opened_at <= $1
        ) as "is_alarmed!"
        "#,
        ctx.now,
        KEY,
    )
    .fetch_one(db)
    .await
}

/// Answers whether the alert is new.
async fn open(db: Unprepared<'_>, ctx: &JobContext, fleet: &Fleet) -> Result<bool> {
    let opened = sqlx::query_scalar!(
        r#"
        insert into alerts (kind, severity, dedup_key, title, details, recommended_actions,
                            opened_at, last_seen_at)
        select $2, 'critical', $2, $3, $4, $5, $1::timestamptz, $1
         where not exists (
             select from alerts a
              where a.dedup_key = $2
                and a.status = 'dismissed'
                and a.opened_at between $1 - interval '24 hours' and $1
         )
        on conflict (dedup_key) where status in ('open', 'acknowledged')
        do update
           set last_seen_at = excluded.last_seen_at,
               occurrences = alerts.occurrences + 1,
               details = excluded.details
         where alerts.last_seen_at <= $1 - interval '1 hour'
        returning occurrences = 1 as "is_new!"
        "#,
        ctx.now,
        KEY,
        "Most kiosks fell silent at once: are their heartbeats still taken in?",
        json!({ "not_offline_before": fleet.online + fleet.degraded, "silent_now": fleet.worse }),
        json!([
            "Check the service that takes in the kiosks' heartbeats, and its way to the database.",
            "Ask one gym whether its kiosks work.",
            "No status was changed: when heartbeats come in again, the next run goes on by itself.",
        ]),
    )
    .fetch_optional(db)
    .await?;
    Ok(opened.unwrap_or(false))
}

async fn resolve(db: Unprepared<'_>, ctx: &JobContext) -> Result<u64> {
    let resolved = sqlx::query!(
        "update alerts
            set status = 'resolved',
                resolved_at = $1,
                resolved_by = 'system'
          where dedup_key = $2
            and status in ('open', 'acknowledged')
            and opened_at <= $1",
        ctx.now,
        KEY,
    )
    .execute(db)
    .await?;
    Ok(resolved.rows_affected())
}
