//! Conversations: what was said is deleted, what a kiosk noted beside it is
//! redacted.
//!
//! The session itself stays, with its length and mood, which reports count.
//! `offset 0` has a hold looked up row by row: the planner would rather list
//! every session that is held, for each batch anew.

use sqlx::Result;
use sqlx::postgres::PgQueryResult;

use super::rules::{Reach, Span};
use crate::database::Unprepared;

pub(crate) async fn reach_events(db: Unprepared<'_>, span: &Span) -> Result<Reach> {
    sqlx::query_as!(
        Reach,
        r#"
        select count(*) as "looked!", count(*) filter (where held) as "held!",
               max(at)::text as at, (array_agg(id))[count(*)]::text as id,
               (array_agg(id) filter (where not held and $7 > 0))[1:$7]::text[] as samples
          from (
              select e.id, e.occurred_at as at,
                     $5::boolean and exists (
                         select from held_sessions h
                          where h.id = e.session_id
                            and h.until > $6
                         offset 0
                     ) as held
                from conversation_events e
               where e.occurred_at < $1
                 and (e.occurred_at, e.id) > ($2::text::timestamptz, $3::text::bigint)
               order by e.occurred_at, e.id
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

pub(crate) async fn delete_events(db: Unprepared<'_>, span: &Span) -> Result<PgQueryResult> {
    sqlx::query!(
        r#"
        delete from conversation_events e
         where e.occurred_at < $1
           and (e.occurred_at, e.id) > ($2::text::timestamptz, $3::text::bigint)
           and (e.occurred_at, e.id) <= ($4::text::timestamptz, $5::text::bigint)
           and not ($6::boolean and exists (
                   select from held_sessions h
                    where h.id = e.session_id
                      and h.until > $7
                   offset 0
               ))
           and (not $8::boolean or e.id in (
                   select l.id
                     from conversation_events l
                    where (l.occurred_at, l.id) > ($2::text::timestamptz, $3::text::bigint)
                      and (l.occurred_at, l.id) <= ($4::text::timestamptz, $5::text::bigint)
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

pub(crate) async fn reach_sessions(db: Unprepared<'_>, span: &Span) -> Result<Reach> {
    sqlx::query_as!(
        Reach,
        r#"
        select count(*) as "looked!", count(*) filter (where held) as "held!",
               max(at)::text as at, (array_agg(id))[count(*)]::text as id,
               (array_agg(id) filter (where not held and $7 > 0))[1:$7]::text[] as samples
          from (
              select s.id, s.ended_at as at,
                     $5::boolean and exists (
                         select from held_sessions h
                          where h.id = s.id
                            and h.until > $6
                         offset 0
                     ) as held
                from conversation_sessions s
               where s.redacted_at is null
                 and s.ended_at < $1
                 and (s.ended_at, s.id) > ($2::text::timestamptz, $3::text::uuid)
               order by s.ended_at, s.id
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

/// A session is redacted once: `redacted_at` says so, whatever is in it.
pub(crate) async fn redact_sessions(db: Unprepared<'_>, span: &Span) -> Result<PgQueryResult> {
    sqlx::query!(
        r#"
        update conversation_sessions s
           set metadata = '{}',
               redacted_at = $7
         where s.redacted_at is null
           and s.ended_at < $1
           and (s.ended_at, s.id) > ($2::text::timestamptz, $3::text::uuid)
           and (s.ended_at, s.id) <= ($4::text::timestamptz, $5::text::uuid)
           and not ($6::boolean and exists (
                   select from held_sessions h
                    where h.id = s.id
                      and h.until > $7
                   offset 0
               ))
           and (not $8::boolean or s.id in (
                   select l.id
                     from conversation_sessions l
                    where l.redacted_at is null
                      and (l.ended_at, l.id) > ($2::text::timestamptz, $3::text::uuid)
                      and (l.ended_at, l.id) <= ($4::text::timestamptz, $5::text::uuid)
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
