//! Reads what members did: the one place where visits become facts.
//!
//! Set-based, for some thousand members at once, and the same statement for
//! the night's run and for the fit. Time in which a member was frozen, or the
//! gym's readers were silent, is left out. Changes nothing.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::model::{self, Facts};
use super::verdict::Level;
use crate::database::{Transaction, Unprepared};

/// How many members of a gym are the sample for all.
const SAMPLE: i64 = 50;

/// A member to be judged.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: Uuid,
    pub(crate) gym_id: Uuid,
    pub(crate) timezone: String,
    /// The gym's date.
    pub(crate) today: NaiveDate,
    pub(crate) joined_ago: Option<i32>,
    pub(crate) ends_in: Option<i32>,
    /// The level so far.
    pub(crate) previous: Option<Level>,
    /// Whether the score of this day is there already.
    pub(crate) is_done: bool,
}

/// What is known of a member, and between which visits.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) facts: Facts,
    pub(crate) first_on: Option<NaiveDate>,
    pub(crate) last_on: Option<NaiveDate>,
}

/// The facts of each of `members` at that moment, in their order.
pub(crate) async fn of_members(
    db: &mut Transaction,
    members: &[Member],
    at: DateTime<Utc>,
) -> Result<Vec<Seen>> {
    let ids: Vec<Uuid> = members.iter().map(|member| member.id).collect();
    let timezones: Vec<String> = members
        .iter()
        .map(|member| member.timezone.clone())
        .collect();
    let mut seen = visits_and_conversations(db, &ids, &timezones, at).await?;
    for (seen, member) in seen.iter_mut().zip(members) {
        seen.facts.joined_ago = member.joined_ago;
        seen.facts.ends_in = member.ends_in;
    }
    Ok(seen)
}

/// The mean gap between visits in each of these gyms, in days.
pub(crate) async fn gaps_of_gyms(
    db: &mut Transaction,
    gyms: &[Uuid],
    at: DateTime<Utc>,
) -> Result<HashMap<Uuid, f64>> {
    // Some active members of each gym, the same ones at every call; compared as rows, so that
    // they are not looked for among those of all gyms.
    let sample = sqlx::query!(
        "select m.id, g.id as gym_id, g.timezone
           from gyms g
           cross join lateral (
               select id
                 from members
                where gym_id = g.id
                  and (gym_id, id) >= (g.id, '00000000-0000-0000-0000-000000000000')
                  and status = 'active'
                order by gym_id, id
                limit $2
           ) m
          where g.id = any($1)",
        gyms,
        SAMPLE,
    )
    .fetch_all(Unprepared(db))
    .await?;
    let ids: Vec<Uuid> = sample.iter().map(|one| one.id).collect();
    let timezones: Vec<String> = sample.iter().map(|one| one.timezone.clone()).collect();
    let seen = visits_and_conversations(db, &ids, &timezones, at).await?;
    let gap = |gym: &Uuid| {
        let of_gym = sample
            .iter()
            .zip(&seen)
            .filter(|(one, _)| one.gym_id == *gym);
        model::gap_of_gym(of_gym.map(|(_, seen)| &seen.facts))
    };
    Ok(gyms.iter().map(|gym| (*gym, gap(gym))).collect())
}

async fn visits_and_conversations(
    db: &mut Transaction,
    ids: &[Uuid],
    timezones: &[String],
    at: DateTime<Utc>,
) -> Result<Vec<Seen>> {
    let rows = sqlx::query_file!("src/churn/facts.sql", ids, timezones, at)
        .fetch_all(Unprepared(db))
        .await?;
    let seen = rows.into_iter().map(|row| Seen {
        facts: Facts {
            visits: row.visits,
            first_ago: row.first_ago,
            last_ago: row.last_ago,
            recent: row.recent,
            before: row.before,
            conversations: row.conversations,
            negative: row.negative,
            ..Facts::default()
        },
        first_on: row.first_on,
        last_on: row.last_on,
    });
    Ok(seen.collect())
}
