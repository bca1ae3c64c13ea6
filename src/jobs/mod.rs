//! The jobs: which there are.
//!
//! A new job is one file, one line in [`ALL`], one entry in
//! `qstash-schedules.json`, and its tests. Only `cli` and `demo` read [`ALL`];
//! the engine gets it handed over. A job knows neither HTTP nor the ledger, reads
//! no clock and no environment, and imports no other job.

use crate::engine::Registry;

mod cleanup_old_data;
mod cleanup_stale_payment_intents;
mod daily_churn_analysis;
mod expire_stale_orders;
mod health_check_kiosks;
mod weekly_reports;

/// Every job there is.
pub const ALL: Registry = Registry(&[
    expire_stale_orders::JOB,
    cleanup_stale_payment_intents::JOB,
    daily_churn_analysis::JOB,
    health_check_kiosks::JOB,
    cleanup_old_data::JOB,
    weekly_reports::JOB,
]);
