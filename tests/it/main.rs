//! The only test binary: every feature through the front door, against a
//! real Postgres.

mod app;
mod cli;
mod config;
mod crashes;
mod database;
mod expire_stale_orders;
mod guard;
mod house;
mod migrations;
mod outages;
mod refusals;
mod runs;
mod seed;
mod signature;
mod stripe;
