//! Writes down the planned maintenance that a run sees, before statuses turn: a
//! kiosk's row tells of the present one at most, and weeks look back.
//!
//! What a row tells is `known_maintenances`' to say. Spans that nothing looks
//! back to any more are deleted.

use sqlx::Result;
use uuid::Uuid;

use crate::database::Unprepared;
use crate::engine::{Batch, JobContext, JobError, context};

/// Records the maintenance of these gyms' kiosks.
pub(super) async fn record(
    batch: &mut Batch<'_>,
    ctx: &JobContext,
    gyms: &[Uuid],
) -> std::result::Result<(), JobError> {
    follow(batch.db()?, ctx, gyms)
        .await
        .map_err(context("follow maintenance"))?;
    begin(batch.db()?, ctx, gyms)
        .await
        .map_err(context("record maintenance"))
}

/// Moves the ends of those that were not over, as they are planned now. One that
/// is on no more, and whose planned end is gone, ended with the status after it.
async fn follow(db: Unprepared<'_>, ctx: &JobContext, gyms: &[Uuid]) -> Result<()> {
    sqlx::query!(
        "
        with forgotten as (
            delete from kiosk_maintenances
             where ends_at < $1::timestamptz - interval '60 days'
        ), planned as (
            select m.kiosk_id, m.starts_at,
                   greatest(m.starts_at, case
                       when k.status = 'maintenance' then coalesce(k.maintenance_until, 'infinity')
                       when k.maintenance_until > m.starts_at then k.maintenance_until
                       when k.status_since > m.starts_at then least(k.status_since, $1)
                       else $1
                   end) as ends_at
              from kiosk_maintenances m
              join kiosks k
                on k.id = m.kiosk_id
             where k.gym_id = any($2)
               and m.ends_at > $1
        )
        update kiosk_maintenances m
           set ends_at = planned.ends_at
          from planned
         where m.kiosk_id = planned.kiosk_id
           and m.starts_at = planned.starts_at
           and m.ends_at <> planned.ends_at
        ",
        ctx.now,
        gyms,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds what no recorded one covers.
async fn begin(db: Unprepared<'_>, ctx: &JobContext, gyms: &[Uuid]) -> Result<()> {
    sqlx::query!(
        "
        insert into kiosk_maintenances (kiosk_id, starts_at, ends_at)
        select k.id, known.starts_at, known.ends_at
          from kiosks k
         cross join lateral (
               select starts_at, ends_at
                 from known_maintenances
                where kiosk_id = k.id
                  and not is_recorded
               offset 0
         ) known
         where k.gym_id = any($2)
           and (k.status = 'maintenance' or k.maintenance_until is not null)
           and known.starts_at <= $1
        on conflict (kiosk_id, starts_at) do update
           set ends_at = excluded.ends_at
        ",
        ctx.now,
        gyms,
    )
    .execute(db)
    .await?;
    Ok(())
}
