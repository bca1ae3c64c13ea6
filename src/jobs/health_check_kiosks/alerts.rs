//! Which alerts of kiosks should be open: one per kiosk and kind, or one for
//! a whole gym. How they are kept says [`crate::alerts::kiosks`].
//!
//! A kiosk whose verdict and status differ, because a heartbeat came in
//! between, is left to the next run.

use sqlx::Result;

use super::gyms::Columns;
use super::verdict::judging;
use crate::alerts::kiosks::following;
use crate::database::Unprepared;
use crate::engine::JobContext;

/// How many kiosks have which verdict, and the keys of the alerts that
/// changed.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) online: i64,
    pub(super) degraded: i64,
    pub(super) offline: i64,
    pub(super) untouched: i64,
    pub(super) opened: Vec<String>,
    pub(super) resolved: Vec<String>,
    pub(super) escalated: Vec<String>,
}

/// Opens, repeats, escalates and resolves the alerts of these gyms and their
/// kiosks. `down` are gyms whose every watched kiosk is offline, when they
/// have several.
pub(super) async fn follow(
    db: Unprepared<'_>,
    ctx: &JobContext,
    gyms: &Columns,
) -> Result<Counted> {
    following!(judging!(
        Counted,
        "
        with judged as materialized (
        select k.id, k.gym_id, k.slug, k.name, k.status, k.status_since as since, judged.verdict,
               (judged.verdict = k.status) is not false as is_clear,
               seen.silent_since, coalesce(heard.is_ahead, false) as is_ahead",
        "
        ), down as materialized (
            select gym_id, count(*) as kiosks, max(since) as since,
                   max(silent_since) as silent_since
              from judged
             where verdict is not null
             group by gym_id
            having count(*) > 1
               and bool_and(verdict = 'offline' and status = 'offline')
        ), wanted as (
            select case
                       when verdict = 'offline' then 'kiosk_offline'
                       when is_ahead then 'kiosk_wrong_clock'
                       else 'kiosk_degraded'
                   end as kind,
                   gym_id, id as kiosk_id, since, array[name, slug] as words,
                   jsonb_build_object('slug', slug, 'silent_since', silent_since,
                                      'has_wrong_clock', is_ahead) as details
              from judged
             where verdict in ('degraded', 'offline')
               and verdict = status
               and gym_id not in (select gym_id from down)
            union all
            select 'gym_offline', gyms.id, null, since, array[kiosks::text, gyms.name],
                   jsonb_build_object('slug', gyms.slug, 'silent_since', silent_since,
                                      'kiosks', kiosks)
              from down
              join gyms
                on gyms.id = down.gym_id
        ",
        r#"
        select count(*) filter (where verdict = 'online') as "online!",
               count(*) filter (where verdict = 'degraded') as "degraded!",
               count(*) filter (where verdict = 'offline') as "offline!",
               count(*) filter (where verdict is null) as "untouched!",
               (select opened from followed) as "opened!",
               (select resolved from followed) as "resolved!",
               (select escalated from followed) as "escalated!"
          from judged
        "#,
        ctx,
        gyms,
    ))
    .fetch_one(db)
    .await
}
