//! The database's clock, where it was set back: the alert `clock_moved`.
//!
//! Leases are the witnesses: an end that lies further ahead than the lease is
//! long was written by a clock that has been set back since. Runs that were
//! dated then lie in the future until the clock has caught up. Changes nothing
//! but the alert: who takes such a lease is decided where leases are taken.

use serde_json::json;
use sqlx::{PgConnection, Result};

use super::Job;
use super::lease::LeaseState;
use crate::alerts::{self, kinds::CLOCK_MOVED};
use crate::database::{self, Unprepared};

/// Opens the alert of `job` where one of its leases shows that the clock was
/// set back, and resolves it where none does.
pub(super) async fn report(db: &mut PgConnection, job: &Job, lease: &LeaseState) -> Result<()> {
    let now = database::now(Unprepared(db)).await?;
    if lease.is_ahead {
        tracing::warn!(job = job.name, "The database's clock was set back");
        let alert = CLOCK_MOVED.about(job.name, &[job.name], json!({ "job": job.name }));
        return alerts::open(Unprepared(db), &[alert], now).await.map(drop);
    }
    let key = CLOCK_MOVED.key(job.name);
    let open = alerts::open_of_kind(Unprepared(db), &CLOCK_MOVED).await?;
    let over: Vec<_> = open
        .iter()
        .filter(|alert| alert.dedup_key == key)
        .map(|alert| alert.id)
        .collect();
    alerts::resolve(Unprepared(db), &over, now).await.map(drop)
}
