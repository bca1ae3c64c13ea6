//! What became of the predictions: did the member come within thirty days?
//!
//! Every prediction whose thirty days are over gets its outcome, also after
//! missed nights. The days are those of the gym's calendar, from the one of
//! the prediction on; what the prediction itself had seen does not count. One
//! whose days lie in a freeze or in a silence of the gym's readers has none.
//! Then the newest day that is known is measured ([`measure`]).

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::Result;
use uuid::Uuid;

use crate::churn::model::rounded;
use crate::database::Unprepared;
use crate::engine::JobContext;

/// Predictions at the most in one statement.
pub(super) const ROWS: i64 = 5_000;

/// How well the predictions of one day turned out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Accuracy {
    /// The gym; none for all together.
    pub(super) gym_id: Option<Uuid>,
    /// The day they were made.
    pub(super) scored_on: Option<NaiveDate>,
    /// How many.
    pub(super) predictions: i64,
    /// Share of those who did not come.
    pub(super) base_rate: f64,
    /// The mean score.
    pub(super) mean_score: f64,
    /// Chance that one who did not come was scored above one who came; none
    /// when all came, or none did.
    pub(super) auc: Option<f64>,
    /// Mean squared error.
    pub(super) brier: f64,
}

/// Fills the oldest outcomes that are due, `limit` at the most; answers how
/// many. Predictions about members who are gone are deleted.
pub(super) async fn fill(db: Unprepared<'_>, ctx: &JobContext, limit: i64) -> Result<i64> {
    let (shard, shards) = ctx.options.shard_of();
    sqlx::query_scalar!(
        r#"
        with due as (
            select h.member_id, h.scored_on, m.id is not null as is_known,
                   coalesce(h.scored_at, h.scored_on::timestamp at time zone g.timezone) as since,
                   (h.scored_on + 30)::timestamp at time zone g.timezone as until,
                   g.timezone
              from member_churn_history h
              join gyms g on g.id = h.gym_id
              left join members m on m.id = h.member_id and m.status <> 'anonymised'
             where h.outcome is null
               and h.score is not null
               and not h.has_no_outcome
               and h.scored_on <= ($1::timestamptz at time zone 'UTC')::date - 29
               and h.scored_on <= ($1 at time zone g.timezone)::date - 30
               and ($2::uuid is null or h.gym_id = $2)
               and ($4::int = 1 or abs(hashtext(h.member_id::text)::bigint) % $4::int = $3::int)
             order by h.scored_on
             limit $5
               for update of h skip locked
        ), judged as materialized (
            select due.*,
                   coalesce(pauses.days && daterange(due.scored_on + 1, due.scored_on + 30), false)
                       as is_unfair
              from due
              left join lateral pauses_of(
                       due.member_id, due.timezone,
                       ($1::timestamptz at time zone due.timezone)::date
                   ) pauses on true
        ), deleted as (
            delete from member_churn_history h
             using due
             where h.member_id = due.member_id
               and h.scored_on = due.scored_on
               and not due.is_known
        ), filled as (
            update member_churn_history h
               set has_no_outcome = due.is_unfair,
                   outcome = case when not due.is_unfair then not exists (
                       select from visits v
                        where v.member_id = due.member_id
                          and (v.member_id, v.checked_in_at) > (due.member_id, due.since)
                          and (v.member_id, v.checked_in_at) < (due.member_id, due.until)
                          and is_visit(v.checked_in_at, (
                                  select max(before.checked_in_at)
                                    from visits before
                                   where before.member_id = v.member_id
                                     and before.checked_in_at < v.checked_in_at
                              ))
                   ) end
              from judged due
             where h.member_id = due.member_id
               and h.scored_on = due.scored_on
               and due.is_known
        )
        select count(*) as "due!"
          from due
        "#,
        ctx.now,
        ctx.options.gym_id,
        shard,
        shards,
        limit,
    )
    .fetch_one(db)
    .await
}

/// Measures each gym's newest day with outcomes, of the last week of those
/// that are due, and notes it; all of them together come first, without a gym.
///
/// From a histogram of a thousand bins, in which ties count half; scores of
/// one bin are ties.
pub(super) async fn measure(db: Unprepared<'_>, ctx: &JobContext) -> Result<Vec<Accuracy>> {
    let mut measured = sqlx::query_file_as!(
        Accuracy,
        "src/jobs/daily_churn_analysis/measure.sql",
        ctx.now,
        ctx.options.gym_id,
    )
    .fetch_all(db)
    .await?;
    for accuracy in &mut measured {
        accuracy.base_rate = rounded(accuracy.base_rate);
        accuracy.mean_score = rounded(accuracy.mean_score);
        accuracy.auc = accuracy.auc.map(rounded);
        accuracy.brier = rounded(accuracy.brier);
    }
    Ok(measured)
}
