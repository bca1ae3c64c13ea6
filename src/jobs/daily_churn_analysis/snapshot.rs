//! How many members have which level at the end of a run, and how well the
//! predictions turned out.
//!
//! Gauges, not counts: a second run on the same day finds the same.

use super::Results;
use super::outcomes::{self, Accuracy};
use crate::engine::{JobContext, JobError, context};

/// Takes the snapshot, in a batch of its own: a dry run sees its own writes.
pub(super) async fn take(ctx: &JobContext, results: &mut Results) -> Result<(), JobError> {
    let (shard, shards) = ctx.options.shard_of();
    let mut batch = ctx.fence.batch().await?;
    // A full join, of which only the members count: it is hashed whatever the planner believes,
    // where a left one becomes a loop over all of both when the scores were analysed while there
    // were none.
    let count = sqlx::query!(
        r#"
        select count(m.id) as "total!",
               count(m.id) filter (where c.level = 'high') as "high!",
               count(m.id) filter (where c.level = 'critical') as "critical!",
               count(m.id) filter (where c.level = 'new') as "new!",
               count(m.id) filter (where c.level = 'never_visited') as "never_visited!"
          from (
              select id
                from churn_members
               where is_scored
                 and (frozen_until is null
                      or frozen_until <= ($1::timestamptz at time zone timezone)::date)
                 and ($2::uuid is null or gym_id = $2)
                 and ($4::int = 1 or abs(hashtext(id::text)::bigint) % $4::int = $3::int)
          ) m
          full join member_churn c on c.member_id = m.id
        "#,
        ctx.now,
        ctx.options.gym_id,
        shard,
        shards,
    )
    .fetch_one(batch.db()?)
    .await
    .map_err(context("count the levels"))?;
    let measured = outcomes::measure(batch.db()?, ctx)
        .await
        .map_err(context("measure the predictions"))?;
    let (overall, gyms): (Vec<Accuracy>, Vec<Accuracy>) = measured
        .into_iter()
        .partition(|accuracy| accuracy.gym_id.is_none());
    results.total = count.total;
    results.high_risk = count.high;
    results.critical_risk = count.critical;
    results.new = count.new;
    results.never_visited = count.never_visited;
    results.live_auc = overall.first().and_then(|all| all.auc);
    results.live_brier = overall.first().map(|all| all.brier);
    results.gyms = gyms;
    batch.commit(results).await
}
