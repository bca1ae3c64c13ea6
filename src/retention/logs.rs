//! The service's own traces: log lines, the runs in its ledger, and messages
//! that never came to a good one.
//!
//! A run at work is never deleted, and neither is the one that asks.

use sqlx::Result;
use sqlx::postgres::PgQueryResult;

use super::rules::{Reach, Span};
use crate::database::Unprepared;

/// A line belongs to whom its details name.
pub(crate) async fn reach_logs(db: Unprepared<'_>, span: &Span) -> Result<Reach> {
    sqlx::query_as!(
        Reach,
        r#"
        select count(*) as "looked!", count(*) filter (where held) as "held!",
               max(at)::text as at, (array_agg(id))[count(*)]::text as id,
               (array_agg(id) filter (where not held and $7 > 0))[1:$7]::text[] as samples
          from (
              select g.id, g."timestamp" as at,
                     $5::boolean and exists (
                         select from legal_holds h
                          where h.subject_id in (
                                    uuid_or_null(g.details ->> 'gym_id'),
                                    uuid_or_null(g.details ->> 'member_id'),
                                    (select m.gym_id from members m
                                      where m.id = uuid_or_null(g.details ->> 'member_id')),
                                    (select k.gym_id from kiosks k
                                      where k.id = uuid_or_null(g.details ->> 'kiosk_id')))
                            and coalesce(h.until, 'infinity') > $6
                     ) as held
                from system_logs g
               where g."timestamp" < $1
                 and (g."timestamp", g.id) > ($2::text::timestamptz, $3::text::bigint)
               order by g."timestamp", g.id
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

pub(crate) async fn delete_logs(db: Unprepared<'_>, span: &Span) -> Result<PgQueryResult> {
    sqlx::query!(
        r#"
        delete from system_logs g
         where g."timestamp" < $1
           and (g."timestamp", g.id) > ($2::text::timestamptz, $3::text::bigint)
           and (g."timestamp", g.id) <= ($4::text::timestamptz, $5::text::bigint)
           and not ($6::boolean and exists (
                   select from legal_holds h
                    where h.subject_id in (
                              uuid_or_null(g.details ->> 'gym_id'),
                              uuid_or_null(g.details ->> 'member_id'),
                              (select m.gym_id from members m
                                where m.id = uuid_or_null(g.details ->> 'member_id')),
                              (select k.gym_id from kiosks k
                                where k.id = uuid_or_null(g.details ->> 'kiosk_id')))
                      and coalesce(h.until, 'infinity') > $7
               ))
           and (not $8::boolean or g.id in (
                   select l.id
                     from system_logs l
                    where (l."timestamp", l.id) > ($2::text::timestamptz, $3::text::bigint)
                      and (l."timestamp", l.id) <= ($4::text::timestamptz, $5::text::bigint)
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

/// A run belongs to nobody, so no hold covers it.
pub(crate) async fn reach_runs(db: Unprepared<'_>, span: &Span) -> Result<Reach> {
    sqlx::query_as!(
        Reach,
        r#"
        select count(*) as "looked!", 0::bigint as "held!",
               max(at)::text as at, (array_agg(id))[count(*)]::text as id,
               (array_agg(id) filter (where $6 > 0))[1:$6]::text[] as samples
          from (
              select r.id, r.started_at as at
                from job_runs r
               where r.status <> 'running'
                 and r.id <> $5
                 and r.started_at < $1
                 and (r.started_at, r.id) > ($2::text::timestamptz, $3::text::uuid)
               order by r.started_at, r.id
               limit $4
          ) looked
        "#,
        span.cutoff,
        span.after.at,
        span.after.id,
        span.size,
        span.run_id,
        span.samples,
    )
    .fetch_one(db)
    .await
}

pub(crate) async fn delete_runs(db: Unprepared<'_>, span: &Span) -> Result<PgQueryResult> {
    sqlx::query!(
        r#"
        delete from job_runs r
         where r.status <> 'running'
           and r.id <> $6
           and r.started_at < $1
           and (r.started_at, r.id) > ($2::text::timestamptz, $3::text::uuid)
           and (r.started_at, r.id) <= ($4::text::timestamptz, $5::text::uuid)
           and (not $7::boolean or r.id in (
                   select l.id
                     from job_runs l
                    where l.status <> 'running'
                      and (l.started_at, l.id) > ($2::text::timestamptz, $3::text::uuid)
                      and (l.started_at, l.id) <= ($4::text::timestamptz, $5::text::uuid)
                      for update skip locked
               ))
        "#,
        span.cutoff,
        span.after.at,
        span.after.id,
        span.upto.at,
        span.upto.id,
        span.run_id,
        span.careful,
    )
    .execute(db)
    .await
}

/// A message belongs to nobody, so no hold covers it.
pub(crate) async fn reach_failures(db: Unprepared<'_>, span: &Span) -> Result<Reach> {
    sqlx::query_as!(
        Reach,
        r#"
        select count(*) as "looked!", 0::bigint as "held!",
               max(at)::text as at, (array_agg(id))[count(*)]::text as id,
               (array_agg(id) filter (where $5 > 0))[1:$5]::text[] as samples
          from (
              select f.id, f.received_at as at
                from delivery_failures f
               where f.received_at < $1
                 and (f.received_at, f.id) > ($2::text::timestamptz, $3::text::uuid)
               order by f.received_at, f.id
               limit $4
          ) looked
        "#,
        span.cutoff,
        span.after.at,
        span.after.id,
        span.size,
        span.samples,
    )
    .fetch_one(db)
    .await
}

pub(crate) async fn delete_failures(db: Unprepared<'_>, span: &Span) -> Result<PgQueryResult> {
    sqlx::query!(
        r#"
        delete from delivery_failures f
         where f.received_at < $1
           and (f.received_at, f.id) > ($2::text::timestamptz, $3::text::uuid)
           and (f.received_at, f.id) <= ($4::text::timestamptz, $5::text::uuid)
           and (not $6::boolean or f.id in (
                   select l.id
                     from delivery_failures l
                    where (l.received_at, l.id) > ($2::text::timestamptz, $3::text::uuid)
                      and (l.received_at, l.id) <= ($4::text::timestamptz, $5::text::uuid)
                      for update skip locked
               ))
        "#,
        span.cutoff,
        span.after.at,
        span.after.id,
        span.upto.at,
        span.upto.id,
        span.careful,
    )
    .execute(db)
    .await
}
