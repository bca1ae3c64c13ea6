//! The alerts `churn_risk`: one for each member at high or critical risk.
//!
//! Opened on entering the risk and resolved on leaving it; in between repeated
//! once a day, with the severity of the level. One that an operator dismissed
//! or resolved is not opened again until the member has left the risk and
//! comes back into it. Members who are at risk in the first night of their gym
//! have none ([`first_nights`]) until their level rises. No name is written here: the member's id is enough.
//!
//! [`first_nights`]: super::first_nights

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Value, json};
use sqlx::Result;
use uuid::Uuid;

use super::pages::Judged;
use crate::alerts::kinds::{CHURN_RISK_CRITICAL, CHURN_RISK_HIGH};
use crate::alerts::{self, Alert};
use crate::churn::verdict::{Factor, Level};
use crate::database::Unprepared;

/// How members at risk were told.
pub(super) struct Told {
    /// The members who have a new alert.
    pub(super) opened: Vec<Uuid>,
    /// The gyms of those who share the one of their gym's first night.
    pub(super) together: Vec<Uuid>,
}

/// Opens or repeats the alerts of these members, who are at risk.
pub(super) async fn open(
    Unprepared(connection): Unprepared<'_>,
    risky: &[&Judged],
    now: DateTime<Utc>,
) -> Result<Told> {
    let judged: HashMap<Uuid, &Judged> = risky.iter().map(|one| (one.member.id, *one)).collect();
    let scores = written(Unprepared(connection), risky).await?;
    let is_first = |score: &Score| judged.get(&score.member_id).is_some_and(|it| it.is_first);
    let (together, alone): (Vec<Score>, Vec<Score>) = scores
        .into_iter()
        .partition(|score| is_first(score) && !score.was_alerted);
    let of = |score: Score| Some(alert(judged.get(&score.member_id)?, score));
    let raised: Vec<Alert> = alone.into_iter().filter_map(of).collect();
    let opened = alerts::open(Unprepared(connection), &raised, now).await?;
    let opened: HashSet<String> = opened.into_iter().collect();
    let is_new = |alert: &&Alert| opened.contains(&alert.dedup_key);
    let new = raised.iter().filter(is_new);
    Ok(Told {
        opened: new.filter_map(|alert| alert.member_id).collect(),
        together: together.iter().map(|score| score.gym_id).collect(),
    })
}

fn alert(judged: &Judged, score: Score) -> Alert {
    let member = &judged.member;
    let kind = match judged.verdict.level {
        Level::Critical => CHURN_RISK_CRITICAL,
        _ => CHURN_RISK_HIGH,
    };
    let is_entering = !member.previous.is_some_and(Level::is_at_risk);
    let is_rising = member.previous < Some(judged.verdict.level);
    Alert {
        gym_id: Some(score.gym_id),
        member_id: Some(member.id),
        timezone: Some(member.timezone.clone()),
        recommended_actions: actions(&judged.verdict.factors),
        may_open: is_entering || (is_rising && !score.was_alerted),
        ..kind.about(&member.id.to_string(), &[], score.details)
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

/// Resolves the alerts of those of these members who are no longer at risk;
/// answers the members.
pub(super) async fn resolve(
    Unprepared(connection): Unprepared<'_>,
    members: &[Uuid],
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>> {
    let over = over(Unprepared(connection), members, now).await?;
    let resolved = alerts::resolve(Unprepared(connection), &over, now).await?;
    Ok(resolved.iter().filter_map(|it| it.member_id).collect())
}

/// A score at risk, as it was just written.
struct Score {
    member_id: Uuid,
    gym_id: Uuid,
    details: Value,
    /// Whether there is an alert about the member, open or not.
    was_alerted: bool,
}

/// The scores of this day. A member whose score is newer than the moment that
/// this run replays has none here, and keeps the alert as it is.
async fn written(db: Unprepared<'_>, risky: &[&Judged]) -> Result<Vec<Score>> {
    let ids: Vec<Uuid> = risky.iter().map(|one| one.member.id).collect();
    let days: Vec<NaiveDate> = risky.iter().map(|one| one.member.today).collect();
    sqlx::query_as!(
        Score,
        r#"
        select c.member_id, c.gym_id,
               jsonb_build_object('score', c.score, 'level', c.level, 'scored_on', c.scored_on,
                                  'model_version', c.model_version, 'factors', c.factors)
                   as "details!",
               exists (
                   select from alerts a
                    where a.member_id = r.member_id
                      and a.kind = 'churn_risk'
               ) as "was_alerted!"
          from unnest($1::uuid[], $2::date[]) as r (member_id, day)
          join member_churn c
            on c.member_id = r.member_id
           and c.scored_on = r.day
           and c.level in ('high', 'critical')
        "#,
        &ids,
        &days,
    )
    .fetch_all(db)
    .await
}

/// The open alerts of those of these members who are no longer at risk.
async fn over(db: Unprepared<'_>, members: &[Uuid], now: DateTime<Utc>) -> Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select present.id as "id!"
          from unnest($1::uuid[]) as m (id)
          join member_churn c
            on c.member_id = m.id
           and c.level not in ('high', 'critical')
         cross join lateral (
               select id, last_seen_at
                 from alerts
                where dedup_key = 'churn_risk:' || m.id
                  and status in ('open', 'acknowledged')
                limit 1
         ) present
         where present.last_seen_at <= $2
        "#,
        members,
        now,
    )
    .fetch_all(db)
    .await
}
