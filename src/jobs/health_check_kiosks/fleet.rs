//! The fleet as a whole: when most of it falls silent at once, it is not the
//! kiosks that have failed, but what takes in their heartbeats.
//!
//! Owns the look at all gyms before anything is changed, and when the one
//! alert [`FLEET_SILENT`] is raised.

use serde_json::json;
use sqlx::Result;
use uuid::Uuid;

use super::gyms::{Columns, Cursor, Gyms, Watch};
use super::verdict::judging;
use super::{BATCH, Results};
use crate::alerts;
use crate::alerts::kinds::FLEET_SILENT;
use crate::database::{Fault, Unprepared};
use crate::engine::{Batch, JobContext, JobError, context};

/// So many kiosks that turn for the worse at once are no accident.
const MANY: i64 = 10;

/// The kiosks, all or of some gyms: their statuses, and how many would turn
/// for the worse.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    online: i64,
    degraded: i64,
    offline: i64,
    untouched: i64,
    worse: i64,
    /// The alert, when it is open.
    alert: Option<Uuid>,
}

impl Fleet {
    /// More than half of the kiosks that were not offline would turn for the
    /// worse, and at least [`MANY`].
    pub(super) fn is_silent(&self) -> bool {
        self.worse >= MANY && self.worse * 2 > self.online + self.degraded
    }
}

/// Looks at every gym and changes nothing; `None` when the budget was spent
/// before the last. Gyms whose hours are unknown do not count.
pub(super) async fn survey(ctx: &JobContext, gyms: &mut Gyms) -> Result<Option<Fleet>, JobError> {
    let mut fleet = Fleet::default();
    let mut cursor = Cursor::default();
    while !ctx.budget.is_spent() {
        let size = ctx.options.batch_size_or(BATCH);
        let batch = gyms.next(&mut cursor, ctx, size).await?;
        let mut tx = ctx.reading().await?;
        if batch.is_empty() {
            let open = alerts::open_of_kind(Unprepared(&mut tx), &FLEET_SILENT)
                .await
                .map_err(context("look for fleet_silent"))?;
            let mut open = open.iter().filter(|alert| alert.opened_at <= ctx.now);
            fleet.alert = open.next().map(|alert| alert.id);
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

/// Raises the alert; the results hold the statuses as they are.
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
    let details = json!({
        "not_offline_before": fleet.online + fleet.degraded,
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

/// Resolves the alert where it is open: the fleet is heard again.
pub(super) async fn calm(
    ctx: &JobContext,
    fleet: &Fleet,
    results: &mut Results,
) -> Result<(), JobError> {
    let Some(alert) = fleet.alert else {
        return Ok(());
    };
    let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
        let resolved = alerts::resolve(batch.db()?, &[alert], ctx.now).await;
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

impl Fleet {
    fn add(&mut self, part: &Self) {
        self.online += part.online;
        self.degraded += part.degraded;
        self.offline += part.offline;
        self.untouched += part.untouched;
        self.worse += part.worse;
    }
}

async fn count(db: Unprepared<'_>, ctx: &JobContext, gyms: &Columns) -> Result<Fleet> {
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
               count(*) filter (where (k.status, judged.verdict) in (
                   ('online', 'degraded'), ('online', 'offline'), ('degraded', 'offline')
               )) as "worse!",
               null::uuid as alert"#,
        "",
        ctx,
        gyms,
    )
    .fetch_one(db)
    .await
}
