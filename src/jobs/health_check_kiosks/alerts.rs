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

/// The subjects of alerts, and the statement that follows them.
macro_rules! statement {
    ($ctx:expr, $gyms:expr $(,)?) => {
        following!(judging!(
            Counted,
            "
            with judged as materialized (
            select k.id, k.gym_id, k.slug, k.name, k.status, k.status_since as since, judged.verdict,
                   (judged.verdict = k.status) is not false as is_clear,
                   seen.silent_since, coalesce(heard.is_ahead, false) as is_ahead",
            "
            ), standing as materialized (
                select judged.*,
                       count(verdict) over gym > 1
                           and bool_and(verdict = 'offline' and status = 'offline')
                               filter (where verdict is not null) over gym as is_gym_down
                  from judged
                window gym as (partition by gym_id)
            ), whole as materialized (
                select gym_id, coalesce(bool_or(is_gym_down), false) as is_down, count(verdict) as kiosks,
                       max(since) filter (where verdict is not null) as since,
                       max(silent_since) filter (where verdict is not null) as silent_since
                  from (
                       select gym_id, is_gym_down, verdict, since, silent_since
                         from standing
                       union all
                       select id, null, null, null, null
                         from unnest($2) as gym (id)
                  ) gym
                 group by gym_id
            ), subject as materialized (
                select case
                           when is_gym_down or verdict <> status then null
                           when verdict = 'offline' then 'kiosk_offline'
                           when verdict = 'degraded' and is_ahead then 'kiosk_wrong_clock'
                           when verdict = 'degraded' then 'kiosk_degraded'
                       end as wanted,
                       gym_id, id as kiosk_id, since, array[name, slug] as words,
                       jsonb_build_object('slug', slug, 'silent_since', silent_since,
                                          'has_wrong_clock', is_ahead) as details,
                       is_clear, coalesce(is_gym_down, false) as is_superseded
                  from standing
                union all
                select case when whole.is_down then 'gym_offline' end, whole.gym_id, null, whole.since,
                       array[whole.kiosks::text, gym.name],
                       jsonb_build_object('slug', gym.slug, 'silent_since', whole.silent_since,
                                          'kiosks', whole.kiosks),
                       true, false
                  from whole
                  left join lateral (
                       select name, slug
                         from gyms
                        where id = whole.gym_id
                       offset 0
                  ) gym
                    on whole.is_down
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
            $ctx,
            $gyms,
        ))
    };
}

/// Opens, repeats, escalates and resolves the alerts of these gyms and their
/// kiosks. `down` are gyms whose every watched kiosk is offline, when they
/// have several.
pub(super) async fn follow(
    db: Unprepared<'_>,
    ctx: &JobContext,
    gyms: &Columns,
) -> Result<Counted> {
    statement!(ctx, gyms).fetch_one(db).await
}
