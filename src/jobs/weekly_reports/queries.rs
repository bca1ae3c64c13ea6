//! What the database counted for each gym: raw numbers of two weeks.
//!
//! Owns the reading: one statement per kind of number over a whole batch of
//! gyms, whatever their number, and never one per gym. What the numbers mean
//! is [`crate::reports::metrics`]'s business.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::candidates::Due;
use crate::database::Unprepared;
use crate::engine::{JobContext, JobError, context};
use crate::reports::counts::{Counted, Pair};
use crate::reports::metrics::{AtRisk, Levels, Sentiment, Topic, rounded};

/// All numbers of all gyms.
type Counts = HashMap<Uuid, Counted>;

/// Counts for all of `due`, in ten statements.
pub(super) async fn count(ctx: &JobContext, due: &[Due]) -> Result<Counts, JobError> {
    let mut counts: Counts = due
        .iter()
        .map(|gym| (gym.gym_id, Counted::default()))
        .collect();
    let weeks = Weeks::of(due);
    let mut tx = ctx.reading().await?;
    let all = async {
        visits(&mut tx, &weeks, &mut counts).await?;
        members(&mut tx, &weeks, &mut counts).await?;
        churn(&mut tx, &weeks, ctx.now, &mut counts).await?;
        conversations(&mut tx, &weeks, &mut counts).await?;
        kiosks(&mut tx, &weeks, &mut counts).await
    };
    all.await.map_err(context("count the weeks"))?;
    Ok(counts)
}

/// The weeks of many gyms, as the statements take them.
struct Weeks {
    gyms: Vec<Uuid>,
    zones: Vec<String>,
    last_starts: Vec<DateTime<Utc>>,
    starts: Vec<DateTime<Utc>>,
    ends: Vec<DateTime<Utc>>,
    mondays: Vec<NaiveDate>,
}

impl Weeks {
    fn of(due: &[Due]) -> Self {
        Self {
            gyms: due.iter().map(|gym| gym.gym_id).collect(),
            zones: due.iter().map(|gym| gym.zone.name().to_owned()).collect(),
            last_starts: due.iter().map(|gym| gym.week.last_starts).collect(),
            starts: due.iter().map(|gym| gym.week.starts).collect(),
            ends: due.iter().map(|gym| gym.week.ends).collect(),
            mondays: due.iter().map(|gym| gym.week.monday).collect(),
        }
    }
}

/// One of the statements over the weeks of many gyms.
macro_rules! over_weeks {
    ($file:literal, $weeks:expr, $db:expr) => {
        sqlx::query_file!(
            $file,
            &$weeks.gyms,
            &$weeks.zones,
            &$weeks.last_starts,
            &$weeks.starts,
            &$weeks.ends,
            &$weeks.mondays
        )
        .fetch_all(Unprepared($db))
        .await?
    };
}

async fn visits(db: &mut PgConnection, weeks: &Weeks, counts: &mut Counts) -> sqlx::Result<()> {
    for row in over_weeks!("src/jobs/weekly_reports/visits.sql", weeks, db) {
        let gym = counts.entry(row.gym_id).or_default();
        gym.half_hours = row.half_hours.into_iter().zip(row.visits).collect();
    }
    for row in over_weeks!("src/jobs/weekly_reports/visitors.sql", weeks, db) {
        counts.entry(row.gym_id).or_default().visitors = Pair {
            this: row.this,
            last: row.last,
        };
    }
    Ok(())
}

async fn members(db: &mut PgConnection, weeks: &Weeks, counts: &mut Counts) -> sqlx::Result<()> {
    for row in over_weeks!("src/jobs/weekly_reports/members.sql", weeks, db) {
        let gym = counts.entry(row.gym_id).or_default();
        gym.joined = Pair {
            this: row.joined,
            last: row.joined_last,
        };
        gym.gone = Pair {
            this: row.gone,
            last: row.gone_last,
        };
        gym.members = Pair {
            this: row.members,
            last: row.members_last,
        };
    }
    Ok(())
}

async fn churn(
    db: &mut PgConnection,
    weeks: &Weeks,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> sqlx::Result<()> {
    let (mut gyms, mut are_this, mut days) = (Vec::new(), Vec::new(), Vec::new());
    for row in over_weeks!("src/jobs/weekly_reports/scored_days.sql", weeks, db) {
        gyms.push(row.gym_id);
        are_this.push(row.is_this);
        days.push(row.day);
    }
    let rows = sqlx::query_file!(
        "src/jobs/weekly_reports/churn_levels.sql",
        &gyms,
        &are_this,
        &days
    );
    for row in rows.fetch_all(Unprepared(db)).await? {
        let levels = Some(Levels {
            low: row.low,
            medium: row.medium,
            high: row.high,
            critical: row.critical,
        });
        let gym = counts.entry(row.gym_id).or_default();
        if row.is_this {
            gym.levels.this = levels;
        } else {
            gym.levels.last = levels;
        }
    }
    let rows = sqlx::query_file!(
        "src/jobs/weekly_reports/at_risk.sql",
        &gyms,
        &are_this,
        &days,
        now
    );
    for row in rows.fetch_all(Unprepared(db)).await? {
        let gym = counts.entry(row.gym_id).or_default();
        gym.at_risk.push(AtRisk {
            member_id: Some(row.member_id),
            score: rounded(row.score.into(), 4),
            level: row.level,
        });
    }
    Ok(())
}

async fn conversations(
    db: &mut PgConnection,
    weeks: &Weeks,
    counts: &mut Counts,
) -> sqlx::Result<()> {
    for row in over_weeks!("src/jobs/weekly_reports/conversations.sql", weeks, db) {
        let gym = counts.entry(row.gym_id).or_default();
        gym.conversations = Pair {
            this: row.this,
            last: row.last,
        };
        gym.mood = Pair {
            this: row.mood,
            last: row.mood_last,
        };
        gym.sentiment = Sentiment {
            positive: row.positive,
            neutral: row.neutral,
            negative: row.negative,
            mixed: row.mixed,
        };
    }
    for row in over_weeks!("src/jobs/weekly_reports/topics.sql", weeks, db) {
        counts.entry(row.gym_id).or_default().topics.push(Topic {
            topic: row.topic,
            conversations: row.conversations,
        });
    }
    Ok(())
}

async fn kiosks(db: &mut PgConnection, weeks: &Weeks, counts: &mut Counts) -> sqlx::Result<()> {
    for row in over_weeks!("src/jobs/weekly_reports/kiosks.sql", weeks, db) {
        let gym = counts.entry(row.gym_id).or_default();
        if row.is_this {
            gym.uptime.this = Some(row.share);
        } else {
            gym.uptime.last = Some(row.share);
        }
    }
    for row in over_weeks!("src/jobs/weekly_reports/alerts.sql", weeks, db) {
        counts.entry(row.gym_id).or_default().alerts = Pair {
            this: row.this,
            last: row.last,
        };
    }
    Ok(())
}
