//! Notes which days are no absence, before anything is judged by them: who is
//! frozen, and which gym's readers are silent ([`silences`]).
//!
//! What is noted is read by `pauses_of`, for the night's facts, for outcomes
//! and for the fit. Noted once, a pause stays known when retention has taken
//! the visits around it.

use sqlx::Result;

use super::{Results, silences};
use crate::database::Unprepared;
use crate::engine::{Batch, JobContext, JobError, context};

/// Members at the most in one statement.
const MEMBERS: i64 = 5_000;

/// Notes all that this night sees, as far as the budget goes: without all of
/// it nothing is judged, since what comes next has no budget either.
pub(super) async fn note(
    ctx: &JobContext,
    results: &mut Results,
) -> std::result::Result<(), JobError> {
    while !ctx.budget.is_spent() {
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
    silences::note(ctx, results).await
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
               and ($2::uuid is null or m.gym_id = $2)
               and ($4::int = 1 or abs(hashtext(m.id::text)::bigint) % $4::int = $3::int)
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
           and ($2::uuid is null or m.gym_id = $2)
           and ($4::int = 1 or abs(hashtext(m.id::text)::bigint) % $4::int = $3::int)
        "#,
        ctx.now,
        ctx.options.gym_id,
        shard,
        shards,
    )
    .execute(Unprepared(db))
    .await?;
    sqlx::query_file_scalar!(
        "src/jobs/daily_churn_analysis/freezes.sql",
        ctx.now,
        ctx.options.gym_id,
        shard,
        shards,
        limit,
    )
    .fetch_one(Unprepared(db))
    .await
}
