//! Alerts: one open row per `dedup_key`, repeated when seen again.
//!
//! Owns every statement that opens, repeats, escalates or resolves an alert,
//! and the list of all [`kinds`]. When an alert is raised is its caller's
//! business. An acknowledged alert counts as open; a dismissed one stays
//! dismissed, and the next occurrence opens a new one. Deleting old alerts
//! and redacting them belongs to retention.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::Result;
use sqlx::types::Json;
use uuid::Uuid;

pub mod kinds;
pub mod kiosks;

use crate::database::Unprepared;
use kinds::{Kind, Repeat};

/// An alert, as its caller raises it.
#[derive(Debug, Clone, Serialize)]
pub struct Alert {
    /// The kind's name.
    pub kind: &'static str,
    /// `info`, `warning`, `high` or `critical`.
    pub severity: &'static str,
    /// The kind and what it is about: one alert of this key is open at most.
    pub dedup_key: String,
    /// One sentence for the operator.
    pub title: String,
    /// What else is known.
    pub details: Value,
    /// What to do about it.
    pub recommended_actions: Value,
    /// The gym it belongs to; none for the system's own.
    pub gym_id: Option<Uuid>,
    /// The kiosk it is about.
    pub kiosk_id: Option<Uuid>,
    /// The member it is about.
    pub member_id: Option<Uuid>,
    /// The order it ends with.
    pub order_id: Option<Uuid>,
    /// When an open alert counts as seen again.
    pub repeat: Repeat,
    /// The time zone of [`Repeat::Daily`].
    pub timezone: Option<String>,
    /// Whether a new alert may be opened, or only an open one repeated.
    pub may_open: bool,
    /// How long no new one is opened after one that an operator dismissed.
    #[serde(skip)]
    pub quiet_after_dismissal: Option<TimeDelta>,
}

impl Kind {
    /// An alert of this kind about `subject`; `words` fill the title's
    /// placeholders in their order.
    #[must_use]
    pub fn about(&self, subject: &str, words: &[&str], details: Value) -> Alert {
        let mut parts = self.title.split("{}");
        let mut title = parts.next().unwrap_or_default().to_owned();
        for (word, part) in words.iter().zip(parts) {
            title.push_str(word);
            title.push_str(part);
        }
        Alert {
            kind: self.name,
            severity: self.severity,
            dedup_key: self.key(subject),
            title,
            details,
            recommended_actions: json!(self.actions),
            gym_id: None,
            kiosk_id: None,
            member_id: None,
            order_id: None,
            repeat: self.repeat,
            timezone: None,
            may_open: true,
            quiet_after_dismissal: self.quiet_after_dismissal,
        }
    }

    /// The `dedup_key` of this kind about `subject`; without a subject there
    /// is one alert of the kind.
    #[must_use]
    pub fn key(&self, subject: &str) -> String {
        match subject {
            "" => self.name.to_owned(),
            subject => format!("{}:{subject}", self.name),
        }
    }
}

/// Opens these alerts, or repeats those that are open, each as its kind says;
/// answers the keys of those that are new. A repeated alert gets the new
/// details; unless it repeats hourly, title and actions as well, and one that
/// repeats daily the severity too.
///
/// # Errors
/// When the database refuses.
pub async fn open(db: Unprepared<'_>, alerts: &[Alert], now: DateTime<Utc>) -> Result<Vec<String>> {
    if alerts.is_empty() {
        return Ok(Vec::new());
    }
    let quiet = alerts.iter().find_map(|alert| alert.quiet_after_dismissal);
    sqlx::query_file_scalar!(
        "src/alerts/open.sql",
        Json(alerts) as _,
        now,
        quiet.map(|quiet| now - quiet),
    )
    .fetch_all(db)
    .await
}

/// An alert that is open.
#[derive(Debug)]
pub struct OpenAlert {
    /// Its id, for [`resolve`].
    pub id: Uuid,
    /// Its key.
    pub dedup_key: String,
    /// Since when.
    pub opened_at: DateTime<Utc>,
}

/// The open alerts of this kind.
///
/// # Errors
/// When the database refuses.
pub async fn open_of_kind(db: Unprepared<'_>, kind: &Kind) -> Result<Vec<OpenAlert>> {
    sqlx::query_as!(
        OpenAlert,
        r#"select id, dedup_key, within_calendar(opened_at) as "opened_at!"
           from alerts
          where kind = $1
            and status in ('open', 'acknowledged')"#,
        kind.name,
    )
    .fetch_all(db)
    .await
}

/// An alert that was just resolved.
#[derive(Debug)]
pub struct Resolved {
    /// The member it was about.
    pub member_id: Option<Uuid>,
    /// Since when it was open.
    pub opened_at: DateTime<Utc>,
    /// How often it was seen.
    pub occurrences: i32,
}

/// Resolves those of these alerts that are still open; answers them.
///
/// # Errors
/// When the database refuses.
pub async fn resolve(
    db: Unprepared<'_>,
    ids: &[Uuid],
    now: DateTime<Utc>,
) -> Result<Vec<Resolved>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as!(
        Resolved,
        r#"update alerts
            set status = 'resolved',
                resolved_at = $2,
                resolved_by = 'system'
          where id = any($1)
            and status in ('open', 'acknowledged')
         returning member_id, within_calendar(opened_at) as "opened_at!", occurrences"#,
        ids,
        now,
    )
    .fetch_all(db)
    .await
}
