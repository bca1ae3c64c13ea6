//! Reads what members did: the one place where visits become facts.
//!
//! Set-based, for some thousand members at once, and the same statement for
//! the night's run, for calibration and for the fit. Time in which a member
//! was frozen, or the gym's readers were silent, is left out ([`super::pauses`]).
//! Changes nothing.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::model::{self, Facts};
use super::pauses;
use super::silences::Silences;
use super::verdict::Level;
use crate::database::{Transaction, Unprepared};

/// How many members of a gym are the sample for its usual gap.
const SAMPLE: i64 = 50;

/// A member to be judged.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: Uuid,
    pub(crate) gym_id: Uuid,
    pub(crate) timezone: String,
    /// The gym's date.
    pub(crate) today: NaiveDate,
    /// The moment they are judged at: before this day while the gym's readers
    /// are silent.
    pub(crate) at: DateTime<Utc>,
    pub(crate) joined_on: Option<NaiveDate>,
    pub(crate) ends_on: Option<NaiveDate>,
    /// Whether they may ever have been frozen.
    pub(crate) may_have_frozen: bool,
    /// What the last score was made of, or else the last contact: for visits
    /// that are no longer kept.
    pub(crate) first_visit_on: Option<NaiveDate>,
    pub(crate) last_visit_on: Option<NaiveDate>,
    pub(crate) visit_days: Option<i32>,
    pub(crate) visits_before: Option<i32>,
    /// The level so far.
    pub(crate) previous: Option<Level>,
    /// The last score that there was, and its level.
    pub(crate) last_score: Option<f32>,
    pub(crate) last_level: Option<Level>,
    /// Whether the score of this day is there already.
    pub(crate) is_done: bool,
}

/// What is known of a member, and of which visits.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) facts: Facts,
    pub(crate) first_on: Option<NaiveDate>,
    pub(crate) last_on: Option<NaiveDate>,
    /// Whether this is what an earlier score knew, because visits are gone.
    pub(crate) is_remembered: bool,
}

/// A gym, and the moment it is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GymAt {
    pub(crate) id: Uuid,
    pub(crate) at: DateTime<Utc>,
}

/// The facts of each of `members`, in their order.
pub(crate) async fn of_members(
    db: &mut Transaction,
    members: &[Member],
    silences: &Silences,
) -> Result<Vec<Seen>> {
    let pauses = pauses::of_members(db, members, silences, None).await?;
    let ids: Vec<Uuid> = members.iter().map(|it| it.id).collect();
    let timezones: Vec<String> = members.iter().map(|it| it.timezone.clone()).collect();
    let moments: Vec<DateTime<Utc>> = members.iter().map(|it| it.at).collect();
    let joined: Vec<Option<NaiveDate>> = members.iter().map(|it| it.joined_on).collect();
    let first: Vec<Option<NaiveDate>> = members.iter().map(|it| it.first_visit_on).collect();
    let last: Vec<Option<NaiveDate>> = members.iter().map(|it| it.last_visit_on).collect();
    let days: Vec<Option<i32>> = members.iter().map(|it| it.visit_days).collect();
    let before: Vec<Option<i32>> = members.iter().map(|it| it.visits_before).collect();
    let places: Vec<i64> = (0..).take(members.len()).collect();
    let rows = sqlx::query_file!(
        "src/churn/facts.sql",
        &ids,
        &timezones,
        &moments,
        &joined as &[Option<NaiveDate>],
        &first as &[Option<NaiveDate>],
        &last as &[Option<NaiveDate>],
        &days as &[Option<i32>],
        &before as &[Option<i32>],
        &places,
        &pauses.places,
        &pauses.began,
        &pauses.ended,
    )
    .fetch_all(Unprepared(db))
    .await?;
    let seen = rows.into_iter().zip(members).map(|(row, member)| Seen {
        facts: Facts {
            visits: row.visits,
            first_ago: row.first_ago,
            last_ago: row.last_ago,
            paused: row.last_ago_in_all - row.last_ago,
            recent: row.recent,
            before: row.before,
            conversations: row.conversations,
            negative: row.negative,
            joined_ago: row.joined_ago.map(|ago| member.here_since(ago)),
            ends_in: member.ends_on.map(|day| days_until(row.seen_on, day)),
        },
        first_on: row.first_on,
        last_on: row.last_on,
        is_remembered: row.is_remembered,
    });
    Ok(seen.collect())
}

impl Member {
    /// Days since joining: none, of one who joined since the moment they are
    /// judged at.
    fn here_since(&self, joined_ago: i32) -> i32 {
        if self.joined_on.is_some_and(|day| day <= self.today) {
            joined_ago.max(0)
        } else {
            joined_ago
        }
    }
}

fn days_until(from: NaiveDate, to: NaiveDate) -> i32 {
    i32::try_from((to - from).num_days()).unwrap_or(i32::MAX)
}

/// The mean gap between visits in each of these gyms, in days.
pub(crate) async fn gaps_of_gyms(
    db: &mut Transaction,
    gyms: &[GymAt],
    silences: &Silences,
) -> Result<HashMap<Uuid, f64>> {
    let (ids, moments): (Vec<Uuid>, Vec<DateTime<Utc>>) =
        gyms.iter().map(|gym| (gym.id, gym.at)).unzip();
    // Some active members of each gym, the same ones at every call.
    let sample = sqlx::query_as!(
        Member,
        r#"select m.id, g.id as gym_id, g.timezone, today.day as "today!", gym.at as "at!",
                null::date as joined_on, null::date as ends_on,
                m.frozen_until is not null
                or exists (select from member_freezes where member_id = m.id) as "may_have_frozen!",
                null::date as first_visit_on, null::date as last_visit_on,
                null::int as visit_days, null::int as visits_before,
                null as "previous: Level", null::real as last_score, null as "last_level: Level",
                false as "is_done!"
           from unnest($1::uuid[], $2::timestamptz[]) as gym (id, at)
           join gyms g on g.id = gym.id
           cross join lateral (
               select (gym.at at time zone g.timezone)::date as day
           ) today
           cross join lateral (
               select id, frozen_until
                 from members
                where gym_id = g.id
                  and status = 'active'
                order by id
                limit $3
           ) m"#,
        &ids,
        &moments,
        SAMPLE,
    )
    .fetch_all(Unprepared(db))
    .await?;
    let seen = of_members(db, &sample, silences).await?;
    let gap = |gym: &Uuid| {
        let of_gym = sample
            .iter()
            .zip(&seen)
            .filter(|(one, _)| one.gym_id == *gym);
        model::gap_of_gym(of_gym.map(|(_, seen)| &seen.facts))
    };
    Ok(ids.iter().map(|gym| (*gym, gap(gym))).collect())
}
