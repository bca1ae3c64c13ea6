//! Forgets those who are not to be scored: no score and no open alert stays
//! behind of a member who left, is frozen, objected, or was anonymised.
//!
//! A row or an alert that is newer than the moment of the run, which then
//! replays one, stays.
//!
//! Written with joins and not with `not exists`: where tables were never
//! analysed, those become nested loops over all of both.

use chrono::{DateTime, Utc};
use sqlx::Result;
use uuid::Uuid;

use crate::database::Unnamed;
use crate::jobs::{Batch, Cx, Stop, during};

/// Rows at the most in one statement.
const ROWS: i64 = 5_000;

/// What one batch forgot.
#[derive(Debug, Default, Clone)]
pub(super) struct Forgotten {
    pub(super) members: Vec<Uuid>,
    pub(super) alerts: Vec<Uuid>,
    /// Whether there may be more.
    pub(super) more: bool,
}

/// Forgets some thousand of them, in the one transaction of `batch`.
pub(super) async fn forget(cx: &Cx, batch: &mut Batch<'_>) -> std::result::Result<Forgotten, Stop> {
    let (shard, shards) = cx.options.shard_of();
    let scope = Scope {
        gym: cx.options.gym_id,
        shard,
        shards,
        now: cx.now,
    };
    let members = drop_scores(batch.db()?, scope)
        .await
        .map_err(during("forget those who are not scored"))?;
    let alerts = resolve_alerts(batch.db()?, scope)
        .await
        .map_err(during("resolve their alerts"))?;
    let anonymised = drop_history(batch.db()?, scope)
        .await
        .map_err(during("forget the history of the anonymised"))?;
    let most = members.len().max(alerts.len()) as u64;
    let more = most.max(anonymised) >= ROWS.unsigned_abs();
    Ok(Forgotten {
        members,
        alerts,
        more,
    })
}

/// Whose rows.
#[derive(Debug, Clone, Copy)]
struct Scope {
    gym: Option<Uuid>,
    shard: i32,
    shards: i32,
    now: DateTime<Utc>,
}

async fn drop_scores(db: Unnamed<'_>, scope: Scope) -> Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "delete from member_churn
          where member_id in (
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
                )
         returning member_id",
        scope.now,
        scope.gym,
        scope.shard,
        scope.shards,
        ROWS,
    )
    .fetch_all(db)
    .await
}

/// Open alerts of members without a score at risk.
async fn resolve_alerts(db: Unnamed<'_>, scope: Scope) -> Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        update alerts
           set status = 'resolved',
               resolved_at = $1,
               resolved_by = 'system'
         where id in (
               select a.id
                 from alerts a
                 left join member_churn c on c.member_id = a.member_id
                where a.kind = 'churn_risk'
                  and a.dedup_key >= 'churn_risk:'
                  and a.dedup_key < 'churn_risk;'
                  and a.status in ('open', 'acknowledged')
                  and a.last_seen_at <= $1
                  and ($2::uuid is null or a.gym_id = $2)
                  and ($4::int = 1
                       or abs(hashtext(a.member_id::text)::bigint) % $4::int = $3::int)
                  and coalesce(c.level, '-') not in ('high', 'critical')
                limit $5
               )
           and status in ('open', 'acknowledged')
        returning member_id as "member_id!"
        "#,
        scope.now,
        scope.gym,
        scope.shard,
        scope.shards,
        ROWS,
    )
    .fetch_all(db)
    .await
}

async fn drop_history(db: Unnamed<'_>, scope: Scope) -> Result<u64> {
    let dropped = sqlx::query!(
        "delete from member_churn_history
          where (member_id, scored_on) in (
                select h.member_id, h.scored_on
                  from members m
                  join member_churn_history h on h.member_id = m.id
                 where m.status = 'anonymised'
                   and ($1::uuid is null or m.gym_id = $1)
                   and ($3::int = 1 or abs(hashtext(m.id::text)::bigint) % $3::int = $2::int)
                 limit $4
                )",
        scope.gym,
        scope.shard,
        scope.shards,
        ROWS,
    )
    .execute(db)
    .await?;
    Ok(dropped.rows_affected())
}
