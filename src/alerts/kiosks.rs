//! The alerts of kiosks and of whole gyms, in one statement for a batch.
//!
//! Promises that an alert is repeated once an hour at the most, so that a run
//! that comes twice changes nothing; that one grows more severe with its age
//! and never less; and that a dismissed one is not opened again while its
//! kiosk has not changed. An alert that a gym's own stands in for is resolved
//! as superseded, and opened again, with its age, when the gym is no longer
//! down as a whole.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Result;
use sqlx::types::Json;
use uuid::Uuid;

use super::Alert;
use crate::database::Unprepared;

/// An alert that should be open.
#[derive(Debug, Clone, Serialize)]
pub struct Wanted {
    /// The alert.
    #[serde(flatten)]
    pub alert: Alert,
    /// Since when the kiosk or the gym has this status, as Postgres writes it.
    pub since: String,
}

/// What became of one alert; one that is reopened may be escalated as well.
#[derive(Debug)]
pub struct Change {
    /// Its key.
    pub dedup_key: String,
    /// Opened, or opened again.
    pub is_opened: bool,
    /// Resolved.
    pub is_resolved: bool,
    /// More severe than before.
    pub is_escalated: bool,
}

/// Makes the open alerts of these gyms and their kiosks the `wanted` ones;
/// answers what changed. Alerts of the kiosks in `unclear` stay as they are.
///
/// Only alerts that have to change are locked, by id.
///
/// # Errors
/// When the database refuses.
pub async fn follow(
    db: Unprepared<'_>,
    gyms: &[Uuid],
    unclear: &[Uuid],
    wanted: &[Wanted],
    now: DateTime<Utc>,
) -> Result<Vec<Change>> {
    sqlx::query_file_as!(
        Change,
        "src/alerts/kiosks.sql",
        now,
        Json(wanted) as _,
        gyms,
        unclear,
    )
    .fetch_all(db)
    .await
}
