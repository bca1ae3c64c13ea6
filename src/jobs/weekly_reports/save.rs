//! Stores reports: each once, and again only when it is forced and changed.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::engine::{Batch, JobContext, JobError, context};
use crate::reports::report::{Report, SCHEMA_VERSION};

/// Stores these reports in the one transaction of `batch`; answers the gyms
/// whose report is new or was replaced.
pub(super) async fn save(
    ctx: &JobContext,
    batch: &mut Batch<'_>,
    reports: &[Report],
) -> Result<Vec<Uuid>, JobError> {
    let texts = |read: fn(&Report) -> &str| -> Vec<String> {
        let texts = reports.iter().map(|report| read(report).to_owned());
        texts.collect()
    };
    let numbers = |read: fn(&Report) -> i32| -> Vec<i32> { reports.iter().map(read).collect() };
    let values =
        |read: fn(&Report) -> &Value| -> Vec<Value> { reports.iter().map(read).cloned().collect() };
    let times =
        |read: fn(&Report) -> DateTime<Utc>| -> Vec<_> { reports.iter().map(read).collect() };
    let gyms: Vec<Uuid> = reports.iter().map(|report| report.gym_id).collect();
    sqlx::query_file_scalar!(
        "src/jobs/weekly_reports/save.sql",
        &gyms,
        &numbers(|report| report.week.year),
        &numbers(|report| report.week.week.cast_signed()),
        &times(|report| report.period_start),
        &times(|report| report.period_end),
        &texts(|report| report.timezone),
        &values(|report| &report.metrics),
        &values(|report| &report.insights),
        &values(|report| &report.recommendations),
        &texts(|report| &report.content_hash),
        SCHEMA_VERSION,
        ctx.now,
        ctx.options.force,
        ctx.fence.run_id(),
    )
    .fetch_all(batch.db()?)
    .await
    .map_err(context("store reports"))
}
