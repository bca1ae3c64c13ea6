//! Notes which days are no absence, before anything is judged by them: who is
//! frozen, and which gym's readers are silent.
//!
//! What is noted is read by `pauses_of`, for the night's facts, for outcomes
//! and for the fit. While a gym's readers are silent, one alert
//! `visits_silent` is open for it. Noted once, a pause stays known when
//! retention has taken the visits around it.

use serde_json::json;
use sqlx::Result;
use uuid::Uuid;

use super::Results;
use crate::alerts::kinds::VISITS_SILENT;
use crate::alerts::{self, Alert};
use crate::database::Unprepared;
use crate::engine::{Batch, JobContext, JobError, context};

/// Members, and gyms, at the most in one statement.
const MEMBERS: i64 = 5_000;
const GYMS: i64 = 500;

/// Notes all that this night sees.
pub(super) async fn note(
    ctx: &JobContext,
    results: &mut Results,
) -> std::result::Result<(), JobError> {
    loop {
        let rows = ctx.part_size.of(MEMBERS);
        let write = async |batch: &mut Batch<'_>, _: &mut Results| {
            note_freezes(batch.db()?, ctx, rows)
                .await
                .map_err(context("note who is frozen"))
        };
        let noted = ctx.fence.write(results, write).await;
        if ctx
            .part_size
            .judge(rows, noted)?
            .is_some_and(|noted| noted < rows)
        {
            break;
        }
    }
    let mut after = None;
    loop {
        let gyms = ctx.part_size.of(GYMS);
        let write = async |batch: &mut Batch<'_>, _: &mut Results| {
            end_silences(batch.db()?, ctx)
                .await
                .map_err(context("end silences"))?;
            note_silences(batch.db()?, ctx, after, gyms)
                .await
                .map_err(context("look for gyms without visits"))
        };
        let looked_at = ctx.fence.write(results, write).await;
        let Some(looked_at) = ctx.part_size.judge(gyms, looked_at)? else {
            continue;
        };
        after = looked_at.last().copied();
        if i64::try_from(looked_at.len()).is_ok_and(|count| count < gyms) {
            break;
        }
    }
    let write = async |batch: &mut Batch<'_>, sum: &mut Results| raise(ctx, batch, sum).await;
    ctx.fence.write(results, write).await
}

/// Notes freezes that began, `limit` at the most, and those that ended; answers
/// how many began. Where the beginning was not seen, it is the day after
/// whatever is known last: a visit, or a score, for who is frozen has none.
async fn note_freezes(Unprepared(db): Unprepared<'_>, ctx: &JobContext, limit: i64) -> Result<i64> {
    let (shard, shards) = ctx.options.shard_of();
    sqlx::query!(
        r#"
        with forgotten as (
            delete from member_freezes f
             using members m
             where m.id = f.member_id
               and (m.status = 'anonymised' or m.churn_opt_out)
        )
        update member_freezes f
           set ended_on = case
                   when m.frozen_until > f.began_on then least(m.frozen_until, today.day)
                   else today.day
               end
          from members m
          join gyms g on g.id = m.gym_id
         cross join lateral (
               select ($1::timestamptz at time zone g.timezone)::date as day
         ) today
         where f.ended_on is null
           and m.id = f.member_id
           and not m.churn_opt_out
           and m.status not in ('frozen', 'anonymised')
           and (m.frozen_until is null or m.frozen_until <= today.day)
           and f.began_on <= today.day
        "#,
        ctx.now,
    )
    .execute(Unprepared(db))
    .await?;
    sqlx::query_scalar!(
        r#"
        with begun as (
            insert into member_freezes as f (member_id, began_on)
            select m.id, least(today.day, greatest(
                       (select (max(v.checked_in_at) at time zone g.timezone)::date + 1
                          from visits v
                         where v.member_id = m.id
                           and v.checked_in_at <= $1
                           and v.checked_in_at > $1 - interval '3 years'),
                       (select max(h.scored_on)
                          from member_churn_history h
                         where h.member_id = m.id
                           and h.scored_on <= today.day)
                   ))
              from members m
              join gyms g on g.id = m.gym_id
             cross join lateral (
                   select ($1::timestamptz at time zone g.timezone)::date as day
             ) today
              left join member_freezes known
                on known.member_id = m.id
               and known.ended_on is null
             where (m.status = 'frozen' or m.status = 'active' and m.frozen_until > today.day)
               and not m.churn_opt_out
               and known.member_id is null
               and ($2::uuid is null or m.gym_id = $2)
               and ($4::int = 1 or abs(hashtext(m.id::text)::bigint) % $4::int = $3::int)
             limit $5
                on conflict (member_id, began_on) do update
               set ended_on = null
            returning f.member_id
        )
        select count(*) as "begun!"
          from begun
        "#,
        ctx.now,
        ctx.options.gym_id,
        shard,
        shards,
        limit,
    )
    .fetch_one(Unprepared(db))
    .await
}

/// Visits have come again, or came late for days that seemed silent.
async fn end_silences(db: Unprepared<'_>, ctx: &JobContext) -> Result<()> {
    sqlx::query!(
        r#"
        with came as materialized (
            select s.gym_id, s.began_on, (visit.at at time zone g.timezone)::date as day
              from visit_silences s
              join gyms g on g.id = s.gym_id
             cross join lateral (
                   select v.checked_in_at as at
                     from visits v
                    where v.gym_id = s.gym_id
                      and v.checked_in_at >= s.began_on::timestamp at time zone g.timezone
                      and v.checked_in_at <= $1
                    order by v.checked_in_at
                    limit 1
             ) visit
             where $2::uuid is null or s.gym_id = $2
        )
        update visit_silences s
           set ended_on = came.day
          from came
         where s.gym_id = came.gym_id
           and s.began_on = came.began_on
           and (s.ended_on is null or s.ended_on > came.day)
        "#,
        ctx.now,
        ctx.options.gym_id,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Notes the silences of some gyms; answers the gyms that were looked at.
async fn note_silences(
    db: Unprepared<'_>,
    ctx: &JobContext,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Uuid>> {
    sqlx::query_file_scalar!(
        "src/jobs/daily_churn_analysis/silences.sql",
        ctx.now,
        ctx.options.gym_id,
        after,
        limit,
    )
    .fetch_all(db)
    .await
}

/// One alert for each gym that is silent now; those of the others are resolved.
async fn raise(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    sum: &mut Results,
) -> std::result::Result<(), JobError> {
    let silent = silent(batch.db()?, ctx)
        .await
        .map_err(context("read which gyms are silent"))?;
    let opened = alerts::open(batch.db()?, &silent, ctx.now)
        .await
        .map_err(context("open the alerts of silent gyms"))?;
    sum.alerts_opened += opened.len();
    let open = alerts::open_of_kind(batch.db()?, &VISITS_SILENT)
        .await
        .map_err(context("read the alerts of silent gyms"))?;
    let over: Vec<Uuid> = open
        .iter()
        .filter(|alert| silent.iter().all(|it| it.dedup_key != alert.dedup_key))
        .map(|alert| alert.id)
        .collect();
    let resolved = alerts::resolve(batch.db()?, &over, ctx.now)
        .await
        .map_err(context("resolve the alerts of silent gyms"))?;
    sum.alerts_resolved += resolved.len();
    Ok(())
}

async fn silent(db: Unprepared<'_>, ctx: &JobContext) -> Result<Vec<Alert>> {
    let rows = sqlx::query!(
        r#"
        select s.gym_id, g.name, g.timezone, s.began_on, s.usual_per_day,
               ($1::timestamptz at time zone g.timezone)::date - s.began_on as "days!"
          from visit_silences s
          join gyms g on g.id = s.gym_id
         where s.ended_on is null
           and g.status <> 'cancelled'
           and s.began_on <= ($1 at time zone g.timezone)::date
         order by s.gym_id, s.began_on desc
        "#,
        ctx.now,
    )
    .fetch_all(db)
    .await?;
    let alerts = rows.into_iter().map(|row| Alert {
        gym_id: Some(row.gym_id),
        timezone: Some(row.timezone),
        ..VISITS_SILENT.about(
            &row.gym_id.to_string(),
            &[&row.name, &row.days.to_string()],
            json!({
                "silent_since": row.began_on,
                "days": row.days,
                "usual_per_day": row.usual_per_day.round(),
            }),
        )
    });
    Ok(alerts.collect())
}
