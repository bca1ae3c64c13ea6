//! The alerts `churn_risk`: one for each member at high or critical risk.
//!
//! Opened on entering the risk and resolved on leaving it; in between bumped
//! once a day, with the severity of the level. One that a person dismissed or
//! resolved is not opened again until the member has left the risk and comes
//! back into it. No name is written here: the member's id is enough.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use sqlx::Result;
use uuid::Uuid;

use super::walk::Judged;
use crate::churn::verdict::{Factor, Level};
use crate::database::Unprepared;

/// A member at risk, as an alert tells it.
#[derive(Debug, Clone)]
pub(super) struct AtRisk {
    member_id: Uuid,
    day: NaiveDate,
    timezone: String,
    /// Whether they were not at risk before.
    is_entering: bool,
    title: &'static str,
    actions: Value,
}

impl AtRisk {
    pub(super) fn of(judged: &Judged) -> Self {
        let is_critical = judged.verdict.level == Level::Critical;
        Self {
            member_id: judged.member.id,
            day: judged.member.today,
            timezone: judged.member.timezone.clone(),
            is_entering: !judged.member.previous.is_some_and(Level::is_at_risk),
            title: if is_critical {
                "A member has most likely stopped coming"
            } else {
                "A member may stop coming"
            },
            actions: actions(&judged.verdict.factors),
        }
    }
}

/// What to do, by what weighs.
fn actions(factors: &[Factor]) -> Value {
    let weighs = |code| {
        factors
            .iter()
            .any(|factor| factor.code == code && factor.points > 0.1)
    };
    let mut actions = vec!["Call the member and ask how training goes"];
    if weighs("negative_conversations") {
        actions.push("Read what the member complained of, and say what became of it");
    }
    if weighs("contract_end") {
        actions.push("Talk about the next contract before this one ends");
    }
    if weighs("tenure") {
        actions.push("Offer a session with a coach: the first months decide");
    }
    json!(actions)
}

struct Columns {
    ids: Vec<Uuid>,
    days: Vec<NaiveDate>,
    timezones: Vec<String>,
    titles: Vec<String>,
    actions: Vec<Value>,
}

fn columns(risky: &[AtRisk]) -> Columns {
    Columns {
        ids: risky.iter().map(|one| one.member_id).collect(),
        days: risky.iter().map(|one| one.day).collect(),
        timezones: risky.iter().map(|one| one.timezone.clone()).collect(),
        titles: risky.iter().map(|one| one.title.to_owned()).collect(),
        actions: risky.iter().map(|one| one.actions.clone()).collect(),
    }
}

/// Brings the open alerts of these members up to date.
pub(super) async fn bump(db: Unprepared<'_>, risky: &[AtRisk], now: DateTime<Utc>) -> Result<u64> {
    let columns = columns(risky);
    let bumped = sqlx::query!(
        "update alerts a
            set severity = c.level,
                title = r.title,
                details = jsonb_build_object('score', c.score, 'level', c.level,
                                             'scored_on', c.scored_on,
                                             'model_version', c.model_version,
                                             'factors', c.factors),
                recommended_actions = r.actions,
                last_seen_at = $6,
                occurrences = a.occurrences + (
                    (a.last_seen_at at time zone r.timezone)::date < r.day)::int
           from unnest($1::uuid[], $2::date[], $3::text[], $4::text[], $5::jsonb[])
                as r (member_id, day, timezone, title, actions)
           join member_churn c
             on c.member_id = r.member_id
            and c.scored_on = r.day
            and c.level in ('high', 'critical')
           cross join lateral (
               select id
                 from alerts
                where dedup_key = 'churn_risk:' || r.member_id
                  and status in ('open', 'acknowledged')
                limit 1
           ) standing
          where a.id = standing.id
            and a.status in ('open', 'acknowledged')
            and a.last_seen_at <= $6
            and ((a.last_seen_at at time zone r.timezone)::date < r.day or a.severity <> c.level)",
        &columns.ids,
        &columns.days,
        &columns.timezones,
        &columns.titles,
        &columns.actions,
        now,
    )
    .execute(db)
    .await?;
    Ok(bumped.rows_affected())
}

/// Opens an alert for those who enter the risk, and for those whose alert
/// somebody has lost; answers for whom.
pub(super) async fn open(
    db: Unprepared<'_>,
    risky: &[AtRisk],
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>> {
    let entering: Vec<bool> = risky.iter().map(|one| one.is_entering).collect();
    let columns = columns(risky);
    sqlx::query_scalar!(
        r#"
        insert into alerts (gym_id, member_id, kind, severity, dedup_key, title, details,
                            recommended_actions, opened_at, last_seen_at)
        select c.gym_id, c.member_id, 'churn_risk', c.level, 'churn_risk:' || c.member_id, r.title,
               jsonb_build_object('score', c.score, 'level', c.level, 'scored_on', c.scored_on,
                                  'model_version', c.model_version, 'factors', c.factors),
               r.actions, $6, $6
          from unnest($1::uuid[], $2::date[], $3::bool[], $4::text[], $5::jsonb[])
               as r (member_id, day, is_entering, title, actions)
          join member_churn c
            on c.member_id = r.member_id
           and c.scored_on = r.day
           and c.level in ('high', 'critical')
         where r.is_entering
            or not exists (
                   select from alerts a
                    where a.member_id = r.member_id
                      and a.kind = 'churn_risk'
               )
            on conflict (dedup_key) where status in ('open', 'acknowledged')
            do nothing
        returning member_id as "member_id!"
        "#,
        &columns.ids,
        &columns.days,
        &entering,
        &columns.titles,
        &columns.actions,
        now,
    )
    .fetch_all(db)
    .await
}

/// Resolves the alerts of members who are no longer at risk; answers whose.
pub(super) async fn resolve(
    db: Unprepared<'_>,
    members: &[Uuid],
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        update alerts a
           set status = 'resolved',
               resolved_at = $2,
               resolved_by = 'system'
          from unnest($1::uuid[]) as m (id)
          join member_churn c
            on c.member_id = m.id
           and c.level not in ('high', 'critical')
          cross join lateral (
              select id
                from alerts
               where dedup_key = 'churn_risk:' || m.id
                 and status in ('open', 'acknowledged')
               limit 1
          ) standing
         where a.id = standing.id
           and a.status in ('open', 'acknowledged')
           and a.last_seen_at <= $2
        returning a.member_id as "member_id!"
        "#,
        members,
        now,
    )
    .fetch_all(db)
    .await
}
