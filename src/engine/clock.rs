//! The database's clock, where it was set back: the alert `clock_moved`.
//!
//! Leases are the witnesses: an end that lies further ahead than the lease is
//! long was written by a clock that has been set back since. Runs that were
//! dated then lie in the future until the clock has caught up. Changes nothing
//! but the alert: who takes such a lease is decided where leases are taken.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::Result;

use super::Job;
use super::lease::LeaseState;
use crate::alerts::{self, kinds::CLOCK_MOVED};
use crate::database::{self, Transaction, Unprepared};
use crate::foreign_text::ForeignText;

/// Opens the alert of `job` where one of its leases shows that the clock was
/// set back, and resolves it where none does. What the database refuses of that
/// costs the alert and not the run: the next begin reports again.
pub(super) async fn report(
    db: &mut Transaction,
    job: &Job,
    lease: &LeaseState,
    now: DateTime<Utc>,
) -> Result<()> {
    database::begin_part(db).await?;
    let reported = if lease.is_ahead {
        open(Unprepared(db), job, now).await
    } else {
        resolve(db, job, now).await
    };
    if let Some(error) = database::end_part(db, reported).await? {
        let error = &*ForeignText::new(error.message());
        tracing::warn!(
            job = job.name,
            error,
            "Failed to report the database's clock"
        );
    }
    Ok(())
}

async fn open(db: Unprepared<'_>, job: &Job, now: DateTime<Utc>) -> Result<()> {
    tracing::warn!(job = job.name, "The database's clock was set back");
    let alert = CLOCK_MOVED.about(job.name, &[job.name], json!({ "job": job.name }));
    alerts::open(db, &[alert], now).await.map(drop)
}

async fn resolve(db: &mut Transaction, job: &Job, now: DateTime<Utc>) -> Result<()> {
    let key = CLOCK_MOVED.key(job.name);
    let mut open = alerts::open_of_kind(Unprepared(db), &CLOCK_MOVED).await?;
    open.retain(|alert| alert.dedup_key == key);
    let ids: Vec<_> = open.iter().map(|alert| alert.id).collect();
    alerts::resolve(Unprepared(db), &ids, now).await.map(drop)
}
