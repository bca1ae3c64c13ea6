//! What moves the default's mean score to what a gym's members do.
//!
//! The default ranks members well everywhere, but how many of them stay away
//! differs from gym to gym. So the score that the default would have given
//! some of the gym's members a month ago is held against what they did since,
//! and a number that is added to every log-odds makes the means the same: the
//! order of the members stays. A gym that is too small to tell keeps the
//! default as it is.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::fit::history::{self, Row};
use super::model::{DEFAULT, probability, rounded};
use crate::database::{Transaction, Unprepared};

/// The days of one window, and how many of them, the newest first, are looked
/// at until there are enough members.
const WINDOW_DAYS: i64 = 30;
const WINDOWS: i32 = 3;
/// So many members of a gym are looked at in a window.
const SAMPLE: i64 = 500;
/// Members and windows, and of each sort, with fewer of which luck decides.
const ENOUGH: (usize, usize) = (100, 10);
/// The most that is added or taken.
const MOST: f64 = 2.0;
/// Halvings of the interval in which the number is looked for.
const HALVINGS: usize = 30;

/// How far a gym is from the default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offset {
    pub(crate) gym_id: Uuid,
    /// What is added to each log-odds; 0 where too little is known.
    pub(crate) log_odds: f64,
    /// What it is found from.
    pub(crate) predictions: usize,
}

/// The offsets of those of `gyms` for which one was found in the week before.
pub(crate) async fn known(
    db: Unprepared<'_>,
    gyms: &[Uuid],
    at: DateTime<Utc>,
) -> Result<HashMap<Uuid, f64>> {
    let rows = sqlx::query!(
        "select distinct on (gym_id) gym_id, log_odds
           from churn_offsets
          where gym_id = any($1)
            and found_on <= $2::timestamptz at time zone 'UTC'
            and found_on > $2 at time zone 'UTC' - interval '7 days'
          order by gym_id, found_on desc",
        gyms,
        at,
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.gym_id, row.log_odds))
        .collect())
}

/// Those of `gyms` with members enough, at all, for an offset to be found.
pub(crate) async fn large_enough(db: Unprepared<'_>, gyms: &[Uuid]) -> Result<Vec<Uuid>> {
    let fewest = i64::try_from(ENOUGH.0).unwrap_or(i64::MAX) - 1;
    sqlx::query_scalar!(
        r#"select gym.id as "id!"
             from unnest($1::uuid[]) as gym (id)
            where exists (
                select from members m
                 where m.gym_id = gym.id
                   and (m.gym_id, m.id) >= (gym.id, '00000000-0000-0000-0000-000000000000')
                   and m.status in ('active', 'cancelled', 'expired')
                offset $2
            )"#,
        gyms,
        fewest,
    )
    .fetch_all(db)
    .await
}

/// The offset of a gym of which too little is known.
pub(crate) fn none(gym_id: Uuid) -> Offset {
    Offset {
        gym_id,
        log_odds: 0.0,
        predictions: 0,
    }
}

/// Looks for the offset of a gym, by what is known at `at`.
pub(crate) async fn find(db: &mut Transaction, gym_id: Uuid, at: DateTime<Utc>) -> Result<Offset> {
    let mut rows: Vec<Row> = Vec::new();
    for back in 1..=WINDOWS {
        let moment = at - TimeDelta::days(WINDOW_DAYS) * back;
        rows.extend(history::sample(db, gym_id, moment, SAMPLE).await?);
        if rows.len() >= ENOUGH.0 * 3 {
            break;
        }
    }
    Ok(Offset {
        gym_id,
        log_odds: of(&rows),
        predictions: rows.len(),
    })
}

/// Keeps them, one for each gym and day.
pub(crate) async fn store(db: Unprepared<'_>, offsets: &[Offset], at: DateTime<Utc>) -> Result<()> {
    let gyms: Vec<Uuid> = offsets.iter().map(|one| one.gym_id).collect();
    let log_odds: Vec<f64> = offsets.iter().map(|one| one.log_odds).collect();
    let counts = offsets.iter().map(|one| one.predictions);
    let counts: Vec<i32> = counts
        .map(|count| i32::try_from(count).unwrap_or(i32::MAX))
        .collect();
    sqlx::query!(
        "insert into churn_offsets (gym_id, found_on, log_odds, predictions)
         select gym_id, $4::timestamptz at time zone 'UTC', log_odds, predictions
           from unnest($1::uuid[], $2::double precision[], $3::int[])
                as found (gym_id, log_odds, predictions)
             on conflict do nothing",
        &gyms,
        &log_odds,
        &counts,
        at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What makes the mean score of `rows` the share of those who did not come.
fn of(rows: &[Row]) -> f64 {
    let absent = rows.iter().filter(|row| row.absent).count();
    let came = rows.len() - absent;
    if rows.len() < ENOUGH.0 || absent.min(came) < ENOUGH.1 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "rows of one gym")]
    let did_not_come = absent as f64;
    let odds: Vec<f64> = rows
        .iter()
        .map(|row| DEFAULT.log_odds(&row.signals))
        .collect();
    let (mut low, mut high) = (-MOST, MOST);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        let expected: f64 = odds.iter().map(|odds| probability(odds + middle)).sum();
        if expected < did_not_come {
            low = middle;
        } else {
            high = middle;
        }
    }
    rounded(low)
}
