//! A report made from its numbers, and the hash that tells whether it changed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::counts::WeekCounts;
use super::insights;
use super::metrics::Metrics;
use super::week::{IsoWeek, Week};

/// The shape of `metrics`, `insights` and `recommendations`.
pub(crate) const SCHEMA_VERSION: i32 = 1;

/// A report about to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) gym_id: Uuid,
    pub(crate) week: IsoWeek,
    pub(crate) period_start: DateTime<Utc>,
    pub(crate) period_end: DateTime<Utc>,
    pub(crate) timezone: &'static str,
    pub(crate) metrics: Value,
    pub(crate) insights: Value,
    pub(crate) recommendations: Value,
    pub(crate) content_hash: String,
    pub(crate) is_empty: bool,
}

impl Report {
    /// The report of a gym.
    ///
    /// # Errors
    /// When a number cannot be written as JSON.
    pub(crate) fn of(
        gym_id: Uuid,
        week: &Week,
        zone: Tz,
        counts: WeekCounts,
    ) -> serde_json::Result<Self> {
        let metrics = Metrics::of(counts, week, zone);
        let mut report = Self {
            gym_id,
            week: week.iso,
            period_start: week.starts,
            period_end: week.ends,
            timezone: zone.name(),
            insights: serde_json::to_value(insights::insights(&metrics))?,
            recommendations: serde_json::to_value(insights::recommendations(&metrics))?,
            is_empty: metrics.is_empty(),
            metrics: serde_json::to_value(metrics)?,
            content_hash: String::new(),
        };
        report.content_hash = report.hash();
        Ok(report)
    }

    /// SHA-256 over the content as JSON whose keys are sorted, in base64url.
    fn hash(&self) -> String {
        let content = json!({
            "gym_id": self.gym_id,
            "week": self.week.to_string(),
            "period_start": self.period_start,
            "period_end": self.period_end,
            "timezone": self.timezone,
            "schema_version": SCHEMA_VERSION,
            "metrics": self.metrics,
            "insights": self.insights,
            "recommendations": self.recommendations,
        });
        URL_SAFE_NO_PAD.encode(Sha256::digest(content.to_string()))
    }
}
