//! What became of the predictions: did the member come within thirty days?
//!
//! Every prediction whose thirty days are over gets its outcome, also after
//! missed nights. The days are those of the gym's calendar, from the one of
//! the prediction on; what the prediction itself had seen does not count. One
//! whose days lie in a freeze or in a silence of the gym's readers has none.
//! Then the newest day that is known is measured ([`measure`]).

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::Result;
use uuid::Uuid;

use crate::churn::model::rounded;
use crate::database::Unprepared;
use crate::engine::JobContext;

/// Predictions at the most in one statement.
pub(super) const ROWS: i64 = 5_000;

/// How well the predictions of one day turned out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Accuracy {
    /// The gym; none for all together.
    pub(super) gym_id: Option<Uuid>,
    /// The day they were made.
    pub(super) scored_on: Option<NaiveDate>,
    /// How many.
    pub(super) predictions: i64,
    /// Share of those who did not come.
    pub(super) base_rate: f64,
    /// The mean score.
    pub(super) mean_score: f64,
    /// Chance that one who did not come was scored above one who came; none
    /// when all came, or none did.
    pub(super) auc: Option<f64>,
    /// Mean squared error.
    pub(super) brier: f64,
}

/// Fills the oldest outcomes that are due, `limit` at the most; answers how
/// many. Predictions about members who are gone are deleted.
pub(super) async fn fill(db: Unprepared<'_>, ctx: &JobContext, limit: i64) -> Result<i64> {
    let (shard, shards) = ctx.options.shard_of();
    sqlx::query_file_scalar!(
        "src/jobs/daily_churn_analysis/fill.sql",
        ctx.now,
        ctx.options.gym_id,
        shard,
        shards,
        limit,
    )
    .fetch_one(db)
    .await
}

/// Measures each gym's newest day with outcomes, of the last week of those
/// that are due, and notes it; all of them together come first, without a gym.
///
/// From a histogram of a thousand bins, in which ties count half; scores of
/// one bin are ties.
pub(super) async fn measure(db: Unprepared<'_>, ctx: &JobContext) -> Result<Vec<Accuracy>> {
    let mut measured = sqlx::query_file_as!(
        Accuracy,
        "src/jobs/daily_churn_analysis/measure.sql",
        ctx.now,
        ctx.options.gym_id,
    )
    .fetch_all(db)
    .await?;
    for accuracy in &mut measured {
        accuracy.base_rate = rounded(accuracy.base_rate);
        accuracy.mean_score = rounded(accuracy.mean_score);
        accuracy.auc = accuracy.auc.map(rounded);
        accuracy.brier = rounded(accuracy.brier);
    }
    Ok(measured)
}
