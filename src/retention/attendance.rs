//! Visits, and the predictions that were made from them.
//!
//! When a member's last visit goes, its moment is written into the member's
//! `last_contact_at` by the same statement: keeping visits for a shorter time
//! must not make anybody look longer gone.

use chrono::NaiveDate;
use sqlx::Result;
use sqlx::postgres::PgQueryResult;

use super::rules::{Reach, Span};
use crate::database::Unprepared;

pub(crate) async fn reach_visits(db: Unprepared<'_>, span: &Span) -> Result<Reach> {
    sqlx::query_as!(
        Reach,
        r#"
        select count(*) as "looked!", count(*) filter (where held) as "held!",
               max(at)::text as at, (array_agg(id))[count(*)]::text as id,
               (array_agg(id) filter (where not held and $7 > 0))[1:$7]::text[] as samples
          from (
              select v.id, v.checked_in_at as at,
                     $5::boolean and exists (
                         select from legal_holds h
                          where h.subject_id in (
                                v.gym_id, v.member_id,
                                (select m.gym_id from members m where m.id = v.member_id))
                            and coalesce(h.until, 'infinity') > $6
                     ) as held
                from visits v
               where v.checked_in_at < $1
                 and (v.checked_in_at, v.id) > ($2::text::timestamptz, $3::text::bigint)
               order by v.checked_in_at, v.id
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

pub(crate) async fn delete_visits(db: Unprepared<'_>, span: &Span) -> Result<PgQueryResult> {
    sqlx::query_file!(
        "src/retention/delete_visits.sql",
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

/// A prediction's key is its day, and then gym and member, with a slash.
pub(crate) async fn reach_predictions(db: Unprepared<'_>, span: &Span) -> Result<Reach> {
    sqlx::query_as!(
        Reach,
        r#"
        select count(*) as "looked!", count(*) filter (where held) as "held!",
               max(at)::text as at, (array_agg(id))[count(*)] as id,
               (array_agg(split_part(id, '/', 2) || ' ' || at)
                   filter (where not held and $7 > 0))[1:$7] as samples
          from (
              select p.gym_id || '/' || p.member_id as id, p.scored_on as at,
                     $5::boolean and exists (
                         select from legal_holds h
                          where h.subject_id in (
                                p.gym_id, p.member_id,
                                (select m.gym_id from members m where m.id = p.member_id))
                            and coalesce(h.until, 'infinity') > $6
                     ) as held
                from member_churn_history p
               where p.scored_on < $1
                 and (p.scored_on, p.gym_id, p.member_id)
                     > ($2::text::date, split_part($3, '/', 1)::uuid, split_part($3, '/', 2)::uuid)
               order by p.scored_on, p.gym_id, p.member_id
               limit $4
          ) looked
        "#,
        last_day(span),
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

pub(crate) async fn delete_predictions(db: Unprepared<'_>, span: &Span) -> Result<PgQueryResult> {
    sqlx::query!(
        r#"
        delete from member_churn_history p
         where p.scored_on < $1
           and (p.scored_on, p.gym_id, p.member_id)
               > ($2::text::date, split_part($3, '/', 1)::uuid, split_part($3, '/', 2)::uuid)
           and (p.scored_on, p.gym_id, p.member_id)
               <= ($4::text::date, split_part($5, '/', 1)::uuid, split_part($5, '/', 2)::uuid)
           and not ($6::boolean and exists (
                   select from legal_holds h
                    where h.subject_id in (
                          p.gym_id, p.member_id,
                          (select m.gym_id from members m where m.id = p.member_id))
                      and coalesce(h.until, 'infinity') > $7
               ))
           and (not $8::boolean or (p.scored_on, p.member_id) in (
                   select l.scored_on, l.member_id
                     from member_churn_history l
                    where (l.scored_on, l.gym_id, l.member_id)
                          > ($2::text::date, split_part($3, '/', 1)::uuid, split_part($3, '/', 2)::uuid)
                      and (l.scored_on, l.gym_id, l.member_id)
                          <= ($4::text::date, split_part($5, '/', 1)::uuid, split_part($5, '/', 2)::uuid)
                      for update skip locked
               ))
        "#,
        last_day(span),
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

/// A day is past its keeping once it was over, in UTC, before the cutoff.
fn last_day(span: &Span) -> NaiveDate {
    span.cutoff.date_naive()
}
