//! Stores reports: each once, and again only when it is forced and changed.

use serde_json::json;
use sqlx::types::Json;
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
    let given = reports.iter().map(|report| {
        json!({
            "gym_id": report.gym_id,
            "iso_year": report.week.year,
            "iso_week": report.week.week,
            "period_start": report.period_start,
            "period_end": report.period_end,
            "timezone": report.timezone,
            "metrics": report.metrics,
            "insights": report.insights,
            "recommendations": report.recommendations,
            "content_hash": report.content_hash,
        })
    });
    sqlx::query_file_scalar!(
        "src/jobs/weekly_reports/save.sql",
        Json(given.collect::<Vec<_>>()) as _,
        SCHEMA_VERSION,
        ctx.now,
        ctx.options.force,
        ctx.fence.run_id(),
    )
    .fetch_all(batch.db()?)
    .await
    .map_err(context("store reports"))
}
