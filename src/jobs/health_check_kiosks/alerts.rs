//! Alerts follow the statuses: one open row per kiosk and kind, or one for a
//! whole gym.
//!
//! Promises that an alert is bumped once an hour at the most, so that a run
//! that comes twice changes nothing; that one grows more severe with its age
//! and never less; and that a dismissed one is not opened again while its
//! kiosk has not changed. A kiosk whose verdict and status differ, because a
//! heartbeat came in between, is left to the next run.

use serde_json::{Value, json};
use sqlx::Result;

use super::SAMPLES;
use super::follow::following;
use super::gyms::Columns;
use crate::database::Unprepared;
use crate::engine::JobContext;

/// How the kiosks stand, and what became of their alerts.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) online: i64,
    pub(super) degraded: i64,
    pub(super) offline: i64,
    pub(super) untouched: i64,
    pub(super) opened: i64,
    pub(super) resolved: i64,
    pub(super) escalated: i64,
    /// The first of each, by their keys.
    pub(super) sample_opened: Vec<String>,
    pub(super) sample_resolved: Vec<String>,
    pub(super) sample_escalated: Vec<String>,
}

/// Opens, bumps, escalates and resolves the alerts of these gyms and their
/// kiosks, in one statement.
pub(super) async fn follow(
    db: Unprepared<'_>,
    ctx: &JobContext,
    gyms: &Columns,
) -> Result<Followed> {
    following!(
        Followed,
        ctx,
        gyms,
        SAMPLES,
        when_offline(),
        when_degraded(),
        when_wrong_clock(),
        when_all_are_offline(),
    )
    .fetch_one(db)
    .await
}

fn when_offline() -> Value {
    json!([
        "Check that the kiosk has power and that its screen is on.",
        "Check the network at the kiosk: cable or Wi-Fi, and whether other devices there are online.",
        "Restart the kiosk.",
        "If it stays silent, call support with the kiosk's slug.",
    ])
}

fn when_degraded() -> Value {
    json!([
        "Check the network at the kiosk: a weak Wi-Fi loses heartbeats.",
        "Restart the kiosk if it stays like this.",
        "If it comes back again and again, call support with the kiosk's slug.",
    ])
}

fn when_wrong_clock() -> Value {
    json!([
        "Set the kiosk's clock, or let it take the time from the network.",
        "Restart the kiosk.",
        "If its clock runs ahead again, call support with the kiosk's slug.",
    ])
}

fn when_all_are_offline() -> Value {
    json!([
        "Check the power of the gym: nothing in it is heard.",
        "Check the gym's router and its line to the Internet.",
        "Restart the router, then one kiosk.",
        "If they stay silent, call support with the gym's slug.",
    ])
}
