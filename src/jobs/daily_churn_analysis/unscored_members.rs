//! Deletes what there is about members who are not scored: no score and no
//! open alert stays of a member who left, is frozen, objected, or was
//! anonymised; and of the latter two no history either.
//!
//! A row that another transaction holds is skipped and counted: the other rows
//! do not wait for it. A row or an alert that is newer than the moment of the
//! run, which then replays one, stays.
//!
//! Written with joins and not with `not exists`: where tables were never
//! analysed, those become nested loops over all of both.

use sqlx::Result;
use uuid::Uuid;

use super::Results;
use crate::alerts;
use crate::database::Unprepared;
use crate::engine::{Batch, JobContext, JobError, context};

/// Rows at the most in one statement.
pub(super) const ROWS: i64 = 5_000;

/// Deletes `rows` of each table at the most, in the one transaction of `batch`, and adds them
/// to `sum`; answers whether there may be more.
pub(super) async fn forget(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    rows: i64,
    sum: &mut Results,
) -> std::result::Result<bool, JobError> {
    let scores = drop_scores(batch.db()?, ctx, rows)
        .await
        .map_err(context("delete the scores of members who are not scored"))?;
    let alerts = resolve_alerts(batch.db()?, ctx, rows)
        .await
        .map_err(context("resolve the alerts of members who are not scored"))?;
    let history = drop_history(batch.db()?, ctx, rows)
        .await
        .map_err(context("delete the history of members who must have none"))?;
    let kinds = [&scores, &alerts, &history];
    sum.forgotten += sum.samples.add(ctx, "forgotten", &scores.members);
    sum.alerts_resolved += sum.samples.add(ctx, "alerts_resolved", &alerts.members);
    sum.forgotten_later = kinds.iter().map(|gone| gone.held()).sum();
    Ok(kinds.iter().any(|gone| gone.are_more(rows)))
}

/// Rows of one table, most of which are gone.
struct Gone {
    /// Those that were to go.
    due: i64,
    /// The members they were about.
    members: Vec<Uuid>,
}

impl Gone {
    /// Rows that another transaction held.
    fn held(&self) -> u64 {
        let due = self.due.unsigned_abs();
        due.saturating_sub(self.members.len() as u64)
    }

    /// Whether another look may find others; not when all of these were held.
    fn are_more(&self, rows: i64) -> bool {
        self.due >= rows && !self.members.is_empty()
    }
}

async fn drop_scores(db: Unprepared<'_>, ctx: &JobContext, rows: i64) -> Result<Gone> {
    let (shard, shards) = ctx.options.shard_of();
    sqlx::query_as!(
        Gone,
        r#"
        with due as materialized (
            select c.member_id
              from member_churn c
              join churn_members m on m.id = c.member_id
             where ($2::uuid is null or c.gym_id = $2)
               and ($4::int = 1
                    or abs(hashtext(c.member_id::text)::bigint) % $4::int = $3::int)
               and c.computed_at <= $1
               and (not m.is_scored
                    or m.frozen_until > ($1 at time zone m.timezone)::date)
             limit $5
        ), free as materialized (
            select c.member_id
              from member_churn c
              join due on due.member_id = c.member_id
             where c.computed_at <= $1
               for update of c skip locked
        ), gone as (
            delete from member_churn c
             using free
             where c.member_id = free.member_id
            returning c.member_id
        )
        select (select count(*) from due) as "due!",
               array(select member_id from gone) as "members!"
        "#,
        ctx.now,
        ctx.options.gym_id,
        shard,
        shards,
        rows,
    )
    .fetch_one(db)
    .await
}

/// Resolves the open alerts of members without a score at risk.
async fn resolve_alerts(
    Unprepared(connection): Unprepared<'_>,
    ctx: &JobContext,
    rows: i64,
) -> Result<Gone> {
    let (shard, shards) = ctx.options.shard_of();
    let found = sqlx::query!(
        r#"
        with due as materialized (
            select a.id
              from alerts a
              left join member_churn c on c.member_id = a.member_id
             where a.kind = 'churn_risk'
               and a.status in ('open', 'acknowledged')
               and a.last_seen_at <= $1
               and ($2::uuid is null or a.gym_id = $2)
               and ($4::int = 1
                    or abs(hashtext(a.member_id::text)::bigint) % $4::int = $3::int)
               and coalesce(c.level, '-') not in ('high', 'critical')
             limit $5
        ), free as materialized (
            select a.id
              from alerts a
              join due on due.id = a.id
             where a.status in ('open', 'acknowledged')
               for update of a skip locked
        )
        select (select count(*) from due) as "due!",
               array(select id from free) as "free!"
        "#,
        ctx.now,
        ctx.options.gym_id,
        shard,
        shards,
        rows,
    )
    .fetch_one(Unprepared(connection))
    .await?;
    let resolved = alerts::resolve(Unprepared(connection), &found.free, ctx.now).await?;
    Ok(Gone {
        due: found.due,
        members: resolved.iter().filter_map(|it| it.member_id).collect(),
    })
}

/// All scores of members who are anonymised or object to being scored: an
/// objection to profiling is one to its past too (GDPR, art. 21), unless a
/// legal hold keeps it.
async fn drop_history(db: Unprepared<'_>, ctx: &JobContext, rows: i64) -> Result<Gone> {
    let (shard, shards) = ctx.options.shard_of();
    sqlx::query_as!(
        Gone,
        r#"
        with due as materialized (
            select h.member_id, h.scored_on
              from members m
              join member_churn_history h on h.member_id = m.id
             where (m.status = 'anonymised' or m.churn_opt_out)
               and ($1::uuid is null or m.gym_id = $1)
               and ($3::int = 1 or abs(hashtext(m.id::text)::bigint) % $3::int = $2::int)
               and not exists (
                       select from held_members held
                        where held.id = m.id
                          and held.until > $5
                       offset 0
                   )
             limit $4
        ), free as materialized (
            select h.member_id, h.scored_on
              from member_churn_history h
              join due
                on due.member_id = h.member_id
               and due.scored_on = h.scored_on
               for update of h skip locked
        ), gone as (
            delete from member_churn_history h
             using free
             where h.member_id = free.member_id
               and h.scored_on = free.scored_on
            returning h.member_id
        )
        select (select count(*) from due) as "due!",
               array(select member_id from gone) as "members!"
        "#,
        ctx.options.gym_id,
        shard,
        shards,
        rows,
        ctx.now,
    )
    .fetch_one(db)
    .await
}
