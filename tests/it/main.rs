//! The only test binary: every feature through the front door, against a
//! real Postgres.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails should fail loudly"
)]

mod adoption;
mod app;
mod cleanup_old_data;
mod cleanup_stale_payment_intents;
mod cli;
mod config;
mod connections;
mod continuation;
mod crashes;
mod daily_churn_analysis;
mod database;
mod edge;
mod expire_stale_orders;
mod failures;
mod fan_out;
mod foreign_rows;
mod foreign_text;
mod guard;
mod health_check_kiosks;
mod house;
mod jobs_in_use;
mod messages;
mod migrations;
mod operator;
mod payments;
mod processes;
mod refusals;
mod roles;
mod runs;
mod schedules;
mod schemas;
mod seed;
mod signature;
mod stripe;
mod weekly_reports;
