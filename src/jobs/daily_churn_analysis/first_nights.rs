//! Which gyms are scored for the first time, and one alert `churn_first_night`
//! for each of them: members who are at risk then did not turn that night.
//!
//! The alert is opened by the transaction that writes the first scores at risk,
//! so that no crash loses it. It stands for the members at risk who never had
//! an alert of their own; every night counts them anew, and resolves it when
//! there are none. Members that a first night did not reach belong to it in the
//! nights after, for a week at the most.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::json;
use sqlx::Result;
use uuid::Uuid;

use super::Results;
use crate::alerts::kinds::CHURN_FIRST_NIGHT;
use crate::alerts::{self, Alert};
use crate::churn::facts::Member;
use crate::database::Unprepared;
use crate::engine::{Batch, JobContext, JobError, context};

/// Which of the gyms of these members have their first night: no earlier day
/// has scores of theirs, or one did not reach all of them.
pub(super) async fn of(
    db: Unprepared<'_>,
    members: &[Member],
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>> {
    let mut gyms: Vec<(Uuid, NaiveDate)> =
        members.iter().map(|one| (one.gym_id, one.today)).collect();
    gyms.dedup();
    let (gyms, days): (Vec<Uuid>, Vec<NaiveDate>) = gyms.into_iter().unzip();
    sqlx::query_file_scalar!(
        "src/jobs/daily_churn_analysis/first_nights.sql",
        &gyms,
        &days,
        now,
    )
    .fetch_all(db)
    .await
}

/// Opens the alerts of these gyms, whose first night it is, or counts anew;
/// answers how many are new.
pub(super) async fn open(
    Unprepared(connection): Unprepared<'_>,
    gyms: &[Uuid],
    now: DateTime<Utc>,
) -> Result<usize> {
    let raised = raised(Unprepared(connection), gyms, now, false).await?;
    let opened = alerts::open(Unprepared(connection), &raised, now).await?;
    Ok(opened.len())
}

/// Counts anew for the alerts that are open, once a run has scored its members.
pub(super) async fn review(
    ctx: &JobContext,
    results: &mut Results,
) -> std::result::Result<(), JobError> {
    let write = async |batch: &mut Batch<'_>, sum: &mut Results| {
        sum.alerts_resolved += repeat_or_resolve(batch.db()?, ctx.now)
            .await
            .map_err(context("review the alerts of first nights"))?;
        Ok(())
    };
    ctx.fence.write(results, write).await
}

async fn repeat_or_resolve(
    Unprepared(connection): Unprepared<'_>,
    now: DateTime<Utc>,
) -> Result<usize> {
    let mut open = alerts::open_of_kind(Unprepared(connection), &CHURN_FIRST_NIGHT).await?;
    open.retain(|alert| alert.opened_at <= now);
    let gyms = open.iter().filter_map(|alert| {
        let (_, gym) = alert.dedup_key.split_once(':')?;
        gym.parse().ok()
    });
    let gyms: Vec<Uuid> = gyms.collect();
    let raised = raised(Unprepared(connection), &gyms, now, true).await?;
    alerts::open(Unprepared(connection), &raised, now).await?;
    let is_over = |key: &String| raised.iter().all(|it| it.dedup_key != *key);
    let over = open.iter().filter(|alert| is_over(&alert.dedup_key));
    let over: Vec<Uuid> = over.map(|alert| alert.id).collect();
    let resolved = alerts::resolve(Unprepared(connection), &over, now).await?;
    Ok(resolved.len())
}

/// The alerts of those of these gyms for which there is still something to say.
/// That all members are scored is looked for `at_the_end`, and stays said.
async fn raised(
    db: Unprepared<'_>,
    gyms: &[Uuid],
    now: DateTime<Utc>,
    at_the_end: bool,
) -> Result<Vec<Alert>> {
    let rows = sqlx::query_file!(
        "src/jobs/daily_churn_analysis/first_night_alerts.sql",
        gyms,
        now,
        at_the_end,
    )
    .fetch_all(db)
    .await?;
    let alerts = rows.into_iter().map(|row| {
        let count = (row.high + row.critical).to_string();
        let details = json!({
            "high": row.high,
            "critical": row.critical,
            "all_scored": row.all_scored,
        });
        Alert {
            gym_id: Some(row.id),
            timezone: Some(row.timezone),
            may_open: !at_the_end,
            ..CHURN_FIRST_NIGHT.about(&row.id.to_string(), &[&row.name, &count], details)
        }
    });
    Ok(alerts.collect())
}
