//! Notes when the readers of a gym were silent, and keeps one alert
//! `visits_silent` open for each gym where they are.
//!
//! Which days are silent is said by [`silence`]. A silence that was noted ends
//! where visits come again, or came late; it is not looked for again.

use std::collections::HashMap;

use chrono::NaiveDate;
use serde_json::json;
use sqlx::Result;
use sqlx::types::Json;
use uuid::Uuid;

use super::Results;
use crate::alerts::kinds::VISITS_SILENT;
use crate::alerts::{self, Alert};
use crate::churn::silence::{self, Silence};
use crate::database::Unprepared;
use crate::engine::{Batch, JobContext, JobError, context};

/// Gyms at the most in one statement.
const GYMS: i64 = 200;
/// Days that are looked at before the last with a visit, or before the last
/// sixty.
const DAYS: i32 = 90;
/// With fewer members, who stays away may well do so by chance.
const MEMBERS: i64 = 10;

/// Notes what this night sees, and tells it.
pub(super) async fn note(
    ctx: &JobContext,
    results: &mut Results,
) -> std::result::Result<(), JobError> {
    let mut after = None;
    while !ctx.budget.is_spent() {
        let rows = ctx.part_size.of(GYMS);
        let write =
            async |batch: &mut Batch<'_>, _: &mut Results| note_some(batch, ctx, after, rows).await;
        let looked_at = ctx.fence.write(results, write).await;
        let Some(looked_at) = ctx.part_size.judge(rows, looked_at)? else {
            continue;
        };
        after = looked_at.last().copied();
        if i64::try_from(looked_at.len()).is_ok_and(|count| count < rows) {
            break;
        }
    }
    let write = async |batch: &mut Batch<'_>, sum: &mut Results| raise(ctx, batch, sum).await;
    ctx.fence.write(results, write).await
}

/// Notes the silences of some gyms; answers the gyms that were looked at.
async fn note_some(
    batch: &mut Batch<'_>,
    ctx: &JobContext,
    after: Option<Uuid>,
    limit: i64,
) -> std::result::Result<Vec<Uuid>, JobError> {
    let days = days(batch.db()?, ctx, after, limit)
        .await
        .map_err(context("count the visits of gyms"))?;
    let gyms: Vec<Uuid> = days.iter().map(|gym| gym.id).collect();
    let known = known(batch.db()?, &gyms)
        .await
        .map_err(context("read the silences of gyms"))?;
    let found: Vec<(Uuid, Silence)> = days
        .iter()
        .flat_map(|gym| {
            let known = known.get(&gym.id).map(Vec::as_slice).unwrap_or_default();
            let found = silence::found(&gym.came, gym.today, known);
            found.into_iter().map(|silence| (gym.id, silence))
        })
        .collect();
    if !found.is_empty() {
        store(batch.db()?, &found)
            .await
            .map_err(context("note the silences of gyms"))?;
    }
    Ok(gyms)
}

/// A gym, its date, and how many members came on which of its days.
struct Days {
    id: Uuid,
    today: NaiveDate,
    came: Vec<(NaiveDate, i32)>,
}

async fn days(
    db: Unprepared<'_>,
    ctx: &JobContext,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Days>> {
    let rows = sqlx::query_file!(
        "src/jobs/daily_churn_analysis/silences.sql",
        ctx.now,
        ctx.options.gym_id,
        after,
        limit,
        DAYS,
    )
    .fetch_all(db)
    .await?;
    let mut gyms: Vec<Days> = Vec::new();
    for row in rows {
        if gyms.last().is_none_or(|last| last.id != row.id) {
            gyms.push(Days {
                id: row.id,
                today: row.today,
                came: Vec::new(),
            });
        }
        if let (Some(gym), Some(day), Some(members)) = (gyms.last_mut(), row.day, row.members) {
            gym.came.push((day, members));
        }
    }
    Ok(gyms)
}

async fn known(db: Unprepared<'_>, gyms: &[Uuid]) -> Result<HashMap<Uuid, Vec<Silence>>> {
    let rows = sqlx::query!(
        r#"
        select gym_id,
               greatest(began_on, '0001-01-01') as "began_on!",
               case when ended_on is not null
                    then least(greatest(ended_on, '0001-01-01'), '9999-12-31') end as ended_on,
               usual_per_day
          from visit_silences
         where gym_id = any($1)
           and began_on < '9999-12-31'
        "#,
        gyms,
    )
    .fetch_all(db)
    .await?;
    let mut known: HashMap<Uuid, Vec<Silence>> = HashMap::new();
    for row in rows {
        known.entry(row.gym_id).or_default().push(Silence {
            began_on: row.began_on,
            ended_on: row.ended_on,
            usual_per_day: row.usual_per_day.into(),
            usual_since: None,
        });
    }
    Ok(known)
}

/// Notes those that were known, and of the others those of members enough.
async fn store(db: Unprepared<'_>, found: &[(Uuid, Silence)]) -> Result<()> {
    let found = found.iter().map(|(gym, silence)| {
        json!({
            "gym_id": gym,
            "began_on": silence.began_on,
            "ended_on": silence.ended_on,
            "usual": silence.usual_per_day,
            "since": silence.usual_since,
        })
    });
    sqlx::query!(
        "insert into visit_silences (gym_id, began_on, ended_on, usual_per_day)
         select f.gym_id, f.began_on, f.ended_on, f.usual
           from jsonb_to_recordset($1)
                as f (gym_id uuid, began_on date, ended_on date, usual real, since date)
           join gyms g on g.id = f.gym_id
          where f.since is null
             or (select count(distinct v.member_id)
                   from visits v
                  where v.gym_id = f.gym_id
                    and (v.gym_id, v.checked_in_at)
                        >= (f.gym_id, f.since::timestamp at time zone g.timezone)
                    and (v.gym_id, v.checked_in_at)
                        < (f.gym_id, f.began_on::timestamp at time zone g.timezone)) >= $2
          order by f.gym_id, f.began_on
             on conflict (gym_id, began_on) do update
            set ended_on = excluded.ended_on",
        Json(found.collect::<Vec<_>>()) as _,
        MEMBERS,
    )
    .execute(db)
    .await?;
    Ok(())
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
        select s.gym_id, g.name, g.timezone, since.day as "began_on!", s.usual_per_day,
               ($1::timestamptz at time zone g.timezone)::date - since.day as "days!"
          from visit_silences s
          join gyms g on g.id = s.gym_id
         cross join lateral (select greatest(s.began_on, '0001-01-01') as day) since
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
