//! Alerts: one open row per `dedup_key`, bumped when seen again.
//!
//! Owns how alerts are opened and resolved; which there are is each job's
//! business. An acknowledged alert counts as open; a dismissed one stays
//! dismissed, and the next occurrence opens a new one.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::database::Unprepared;

/// An alert, as a job raises it. Kind and subject together are its
/// `dedup_key`.
#[derive(Debug, Clone)]
pub struct Alert {
    /// What kind of trouble, in snake case.
    pub kind: &'static str,
    /// `info`, `warning`, `high` or `critical`.
    pub severity: &'static str,
    /// Who or what is in trouble.
    pub about: About,
    /// A sentence for whoever reads the list.
    pub title: String,
    /// What else is known.
    pub details: Value,
    /// What to do about it, in plain words.
    pub recommended_actions: Value,
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// An order; its id.
    Order(Uuid),
    /// One payment intent; the id of our row. The column for an order stays
    /// empty, because such an alert does not end with the order.
    Intent(Uuid),
}

impl About {
    fn id(self) -> Uuid {
        match self {
            Self::Order(id) | Self::Intent(id) => id,
        }
    }

    fn order(self) -> Option<Uuid> {
        match self {
            Self::Order(id) => Some(id),
            Self::Intent(_) => None,
        }
    }
}

/// Opens these alerts, or bumps those that are open; answers how many are new.
///
/// # Errors
/// When the database refuses.
pub async fn open(db: Unprepared<'_>, alerts: &[Alert], now: DateTime<Utc>) -> sqlx::Result<u64> {
    let column = |read: fn(&Alert) -> &str| -> Vec<String> {
        alerts.iter().map(|alert| read(alert).to_owned()).collect()
    };
    let details: Vec<Value> = alerts.iter().map(|alert| alert.details.clone()).collect();
    let actions: Vec<Value> = alerts
        .iter()
        .map(|alert| alert.recommended_actions.clone())
        .collect();
    let subjects: Vec<Uuid> = alerts.iter().map(|alert| alert.about.id()).collect();
    let orders: Vec<Option<Uuid>> = alerts.iter().map(|alert| alert.about.order()).collect();
    let opened = sqlx::query_scalar!(
        r#"
        with raised as (
            insert into alerts (kind, severity, order_id, dedup_key, title, details,
                                recommended_actions, opened_at, last_seen_at)
            select kind, severity, order_id, kind || ':' || subject, title, details,
                   actions, $8, $8
              from unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::jsonb[],
                          $7::jsonb[])
                   as raised (kind, severity, subject, order_id, title, details, actions)
            on conflict (dedup_key) where status in ('open', 'acknowledged')
            do update
               set last_seen_at = excluded.last_seen_at,
                   occurrences = alerts.occurrences + 1,
                   details = excluded.details
            returning occurrences
        )
        select count(*) as "opened!"
          from raised
         where occurrences = 1
        "#,
        &column(|alert| alert.kind),
        &column(|alert| alert.severity),
        &subjects,
        &orders as &[Option<Uuid>],
        &column(|alert| &alert.title),
        &details,
        &actions,
        now,
    )
    .fetch_one(db)
    .await?;
    Ok(opened.unsigned_abs())
}

/// Resolves the open alerts of these kinds whose order is in none of these
/// statuses any more; answers how many.
///
/// # Errors
/// When the database refuses.
pub async fn resolve_for_orders_no_longer(
    db: Unprepared<'_>,
    statuses: &[&str],
    kinds: &[&str],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let text = |words: &[&str]| -> Vec<String> { words.iter().map(|w| (*w).to_owned()).collect() };
    let resolved = sqlx::query!(
        "update alerts a
            set status = 'resolved',
                resolved_at = $2,
                resolved_by = 'system'
           from orders o
          where o.id = a.order_id
            and o.status <> all($3)
            and a.kind = any($1)
            and a.status in ('open', 'acknowledged')",
        &text(kinds),
        now,
        &text(statuses),
    )
    .execute(db)
    .await?;
    Ok(resolved.rows_affected())
}

/// Resolves the open alerts of this kind about an intent that is no longer
/// `missing`; answers how many.
///
/// # Errors
/// When the database refuses.
pub async fn resolve_for_found_intents(
    db: Unprepared<'_>,
    kind: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let resolved = sqlx::query!(
        "update alerts a
            set status = 'resolved',
                resolved_at = $2,
                resolved_by = 'system'
           from payment_intents p
          where a.kind = $1
            and a.order_id is null
            and a.status in ('open', 'acknowledged')
            and p.id = uuid_or_null(split_part(a.dedup_key, ':', 2))
            and p.status <> 'missing'",
        kind,
        now,
    )
    .execute(db)
    .await?;
    Ok(resolved.rows_affected())
}
