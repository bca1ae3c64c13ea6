//! The models that gyms have: the default, or one fitted to their own history.
//!
//! Owns `churn_models`. A fitted model counts only while it was fitted from
//! the default that this version knows: after a change of the signals, gyms
//! return to the default until they are fitted again.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::fit::{Fitted, Test};
use super::model::{DEFAULT, DEFAULT_VERSION, Weights};
use crate::database::Unprepared;

/// Weights and what they are called in `model_version`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    /// `default-1`, or `default-1/fit-3` for the third model of a gym.
    pub(crate) version: String,
    /// The weights.
    pub(crate) weights: Weights,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            version: DEFAULT_VERSION.to_owned(),
            weights: DEFAULT,
        }
    }
}

impl Model {
    /// The default, with so much added to every log-odds.
    pub(crate) fn moved_by(log_odds: f64) -> Self {
        let mut model = Self::default();
        model.weights.intercept += log_odds;
        model
    }
}

/// What the version of a fitted model is called.
pub(crate) fn name(version: i32) -> String {
    format!("{DEFAULT_VERSION}/fit-{version}")
}

/// The newest model of those of `gyms` that have one: by the moment it knows
/// its gym at, which for a fit of the past is not when it was made.
pub(crate) async fn newest(
    db: Unprepared<'_>,
    gyms: &[Uuid],
    at: DateTime<Utc>,
) -> Result<HashMap<Uuid, Model>> {
    let rows = sqlx::query!(
        "select distinct on (gym_id)
                gym_id, version, intercept, usual_gap, absence, trend, tenure, contract_end,
                negative_conversations
           from churn_models
          where gym_id = any($1)
            and base = $2
            and fitted_at <= $3
          order by gym_id, fitted_at desc, version desc",
        gyms,
        DEFAULT_VERSION,
        at,
    )
    .fetch_all(db)
    .await?;
    let models = rows.into_iter().map(|row| {
        let weights = Weights {
            intercept: row.intercept,
            of_signals: [
                row.usual_gap,
                row.absence,
                row.trend,
                row.tenure,
                row.contract_end,
                row.negative_conversations,
            ],
        };
        let version = name(row.version);
        (row.gym_id, Model { version, weights })
    });
    Ok(models.collect())
}

/// Stores a gym's next model, and how it did where it was tested; answers its
/// version.
pub(crate) async fn store(
    db: Unprepared<'_>,
    fitted: &Fitted,
    weights: &Weights,
    test: &Test,
    at: DateTime<Utc>,
) -> Result<i32> {
    let [usual_gap, absence, trend, tenure, contract_end, negative] = weights.of_signals;
    sqlx::query_scalar!(
        "insert into churn_models (gym_id, version, base, intercept, usual_gap, absence, trend,
                                   tenure, contract_end, negative_conversations, trained_on,
                                   tested_on, auc, brier, default_auc, default_brier, fitted_at)
         select $1, 1 + coalesce(max(version), 0), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                $13, $14, $15, $16
           from churn_models
          where gym_id = $1
         returning version",
        fitted.gym.id,
        DEFAULT_VERSION,
        weights.intercept,
        usual_gap,
        absence,
        trend,
        tenure,
        contract_end,
        negative,
        i32::try_from(fitted.trained_on).unwrap_or(i32::MAX),
        i32::try_from(fitted.tested_on).unwrap_or(i32::MAX),
        test.fitted.auc,
        test.fitted.brier,
        test.default.auc,
        test.default.brier,
        at,
    )
    .fetch_one(db)
    .await
}
