//! Heartbeats of kiosks, and alerts that are over.

use sqlx::Result;
use sqlx::postgres::PgQueryResult;

use super::rules::{Reach, Span};
use crate::database::Unprepared;

pub(crate) async fn reach_heartbeats(db: Unprepared<'_>, span: &Span) -> Result<Reach> {
    sqlx::query_as!(
        Reach,
        r#"
        select count(*) as "looked!", count(*) filter (where held) as "held!",
               max(at)::text as at, (array_agg(id))[count(*)]::text as id,
               (array_agg(id) filter (where not held and $7 > 0))[1:$7]::text[] as samples
          from (
              select b.id, b.received_at as at,
                     $5::boolean and exists (
                         select from legal_holds h
                          where h.subject_id = (select k.gym_id from kiosks k where k.id = b.kiosk_id)
                            and coalesce(h.until, 'infinity') > $6
                     ) as held
                from kiosk_heartbeats b
               where b.received_at < $1
                 and (b.received_at, b.id) > ($2::text::timestamptz, $3::text::bigint)
               order by b.received_at, b.id
               limit $4
          ) looked
        "#,
        span.cutoff,
        span.after.at,
        span.after.id,
        span.size,
        span.any_held,
        span.now,
        span.samples,
    )
    .fetch_one(db)
    .await
}

pub(crate) async fn delete_heartbeats(db: Unprepared<'_>, span: &Span) -> Result<PgQueryResult> {
    sqlx::query!(
        r#"
        delete from kiosk_heartbeats b
         where b.received_at < $1
           and (b.received_at, b.id) > ($2::text::timestamptz, $3::text::bigint)
           and (b.received_at, b.id) <= ($4::text::timestamptz, $5::text::bigint)
           and not ($6::boolean and exists (
                   select from legal_holds h
                    where h.subject_id = (select k.gym_id from kiosks k where k.id = b.kiosk_id)
                      and coalesce(h.until, 'infinity') > $7
               ))
           and (not $8::boolean or b.id in (
                   select l.id
                     from kiosk_heartbeats l
                    where (l.received_at, l.id) > ($2::text::timestamptz, $3::text::bigint)
                      and (l.received_at, l.id) <= ($4::text::timestamptz, $5::text::bigint)
                      for update skip locked
               ))
        "#,
        span.cutoff,
        span.after.at,
        span.after.id,
        span.upto.at,
        span.upto.id,
        span.any_held,
        span.now,
        span.careful,
    )
    .execute(db)
    .await
}

pub(crate) async fn reach_alerts(db: Unprepared<'_>, span: &Span) -> Result<Reach> {
    sqlx::query_as!(
        Reach,
        r#"
        select count(*) as "looked!", count(*) filter (where held) as "held!",
               max(at)::text as at, (array_agg(id))[count(*)]::text as id,
               (array_agg(id) filter (where not held and $7 > 0))[1:$7]::text[] as samples
          from (
              select a.id, coalesce(a.resolved_at, a.last_seen_at) as at,
                     $5::boolean and exists (
                         select from legal_holds h
                          where h.subject_id in (
                                a.gym_id, a.member_id,
                                (select m.gym_id from members m where m.id = a.member_id),
                                (select k.gym_id from kiosks k where k.id = a.kiosk_id))
                            and coalesce(h.until, 'infinity') > $6
                     ) as held
                from alerts a
               where a.status in ('resolved', 'dismissed')
                 and coalesce(a.resolved_at, a.last_seen_at) < $1
                 and (coalesce(a.resolved_at, a.last_seen_at), a.id)
                     > ($2::text::timestamptz, $3::text::uuid)
               order by coalesce(a.resolved_at, a.last_seen_at), a.id
               limit $4
          ) looked
        "#,
        span.cutoff,
        span.after.at,
        span.after.id,
        span.size,
        span.any_held,
        span.now,
        span.samples,
    )
    .fetch_one(db)
    .await
}

pub(crate) async fn delete_alerts(db: Unprepared<'_>, span: &Span) -> Result<PgQueryResult> {
    sqlx::query!(
        r#"
        delete from alerts a
         where a.status in ('resolved', 'dismissed')
           and coalesce(a.resolved_at, a.last_seen_at) < $1
           and (coalesce(a.resolved_at, a.last_seen_at), a.id)
               > ($2::text::timestamptz, $3::text::uuid)
           and (coalesce(a.resolved_at, a.last_seen_at), a.id)
               <= ($4::text::timestamptz, $5::text::uuid)
           and not ($6::boolean and exists (
                   select from legal_holds h
                    where h.subject_id in (
                          a.gym_id, a.member_id,
                          (select m.gym_id from members m where m.id = a.member_id),
                          (select k.gym_id from kiosks k where k.id = a.kiosk_id))
                      and coalesce(h.until, 'infinity') > $7
               ))
           and (not $8::boolean or a.id in (
                   select l.id
                     from alerts l
                    where l.status in ('resolved', 'dismissed')
                      and (coalesce(l.resolved_at, l.last_seen_at), l.id)
                          > ($2::text::timestamptz, $3::text::uuid)
                      and (coalesce(l.resolved_at, l.last_seen_at), l.id)
                          <= ($4::text::timestamptz, $5::text::uuid)
                      for update skip locked
               ))
        "#,
        span.cutoff,
        span.after.at,
        span.after.id,
        span.upto.at,
        span.upto.id,
        span.any_held,
        span.now,
        span.careful,
    )
    .execute(db)
    .await
}
