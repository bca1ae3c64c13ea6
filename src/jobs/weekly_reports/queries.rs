//! Counts for each gym: raw numbers of two weeks.
//!
//! Owns the reading: one statement per kind of number over a whole batch of
//! gyms, and never one per gym. What the numbers mean is
//! [`crate::reports::metrics`]'s business.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::candidates::Candidate;
use crate::database::{Transaction, Unprepared};
use crate::engine::{JobContext, JobError, context};
use crate::reports::counts::{AtRisk, Levels, Sentiment, ThisAndLast, Topic, WeekCounts};
use crate::reports::metrics::rounded;

/// All numbers of all gyms.
type Counts = HashMap<Uuid, WeekCounts>;

/// Counts for all of `candidates`, in ten statements or more where there are
/// many kiosks.
pub(super) async fn count(ctx: &JobContext, candidates: &[Candidate]) -> Result<Counts, JobError> {
    let mut counts: Counts = candidates
        .iter()
        .map(|gym| (gym.gym_id, WeekCounts::default()))
        .collect();
    let weeks = Weeks::of(candidates);
    let mut tx = ctx.reading().await?;
    let all = async {
        visits(&mut tx, &weeks, &mut counts).await?;
        members(&mut tx, &weeks, &mut counts).await?;
        churn(&mut tx, &weeks, ctx.now, &mut counts).await?;
        conversations(&mut tx, &weeks, &mut counts).await?;
        alerts(&mut tx, &weeks, &mut counts).await?;
        kiosks::opening_time(&mut tx, &weeks, candidates, &mut counts).await
    };
    let time = all.await.map_err(context("count the weeks"))?;
    drop(tx);
    kiosks::uptime(ctx, &weeks, &time, &mut counts).await?;
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
    fn of(candidates: &[Candidate]) -> Self {
        let gyms = || candidates.iter();
        Self {
            gyms: gyms().map(|gym| gym.gym_id).collect(),
            zones: gyms().map(|gym| gym.zone.name().to_owned()).collect(),
            last_starts: gyms().map(|gym| gym.week.last_starts).collect(),
            starts: gyms().map(|gym| gym.week.starts).collect(),
            ends: gyms().map(|gym| gym.week.ends).collect(),
            mondays: gyms().map(|gym| gym.week.monday).collect(),
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

mod kiosks;

async fn visits(db: &mut Transaction, weeks: &Weeks, counts: &mut Counts) -> sqlx::Result<()> {
    for row in over_weeks!("src/jobs/weekly_reports/queries/visits.sql", weeks, db) {
        let gym = counts.entry(row.gym_id).or_default();
        gym.half_hours = row.half_hours.into_iter().zip(row.visits).collect();
        gym.visitors = ThisAndLast::new(row.this, row.last);
    }
    Ok(())
}

async fn members(db: &mut Transaction, weeks: &Weeks, counts: &mut Counts) -> sqlx::Result<()> {
    for row in over_weeks!("src/jobs/weekly_reports/queries/members.sql", weeks, db) {
        let gym = counts.entry(row.gym_id).or_default();
        gym.joined = ThisAndLast::new(row.joined, row.joined_last);
        gym.gone = ThisAndLast::new(row.gone, row.gone_last);
        gym.members = ThisAndLast::new(row.members, row.members_last);
    }
    Ok(())
}

async fn churn(
    db: &mut Transaction,
    weeks: &Weeks,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> sqlx::Result<()> {
    let (mut gyms, mut are_this, mut days) = (Vec::new(), Vec::new(), Vec::new());
    for row in over_weeks!("src/jobs/weekly_reports/queries/scored_days.sql", weeks, db) {
        gyms.push(row.gym_id);
        are_this.push(row.is_this);
        days.push(row.day);
    }
    let rows = sqlx::query_file!(
        "src/jobs/weekly_reports/queries/churn_levels.sql",
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
        *gym.levels.of(row.is_this) = levels;
    }
    let rows = sqlx::query_file!(
        "src/jobs/weekly_reports/queries/at_risk.sql",
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
    db: &mut Transaction,
    weeks: &Weeks,
    counts: &mut Counts,
) -> sqlx::Result<()> {
    for row in over_weeks!(
        "src/jobs/weekly_reports/queries/conversations.sql",
        weeks,
        db
    ) {
        let gym = counts.entry(row.gym_id).or_default();
        gym.conversations = ThisAndLast::new(row.this, row.last);
        gym.mood = ThisAndLast::new(row.mood, row.mood_last);
        gym.sentiment = Sentiment {
            positive: row.positive,
            neutral: row.neutral,
            negative: row.negative,
            mixed: row.mixed,
        };
    }
    for row in over_weeks!("src/jobs/weekly_reports/queries/topics.sql", weeks, db) {
        counts.entry(row.gym_id).or_default().topics.push(Topic {
            topic: row.topic,
            conversations: row.conversations,
        });
    }
    Ok(())
}

async fn alerts(db: &mut Transaction, weeks: &Weeks, counts: &mut Counts) -> sqlx::Result<()> {
    for row in over_weeks!("src/jobs/weekly_reports/queries/alerts.sql", weeks, db) {
        counts.entry(row.gym_id).or_default().alerts = ThisAndLast::new(row.this, row.last);
    }
    Ok(())
}
