//! jarvis-cron: scheduled jobs as plain HTTPS endpoints.
//!
//! An external scheduler (Upstash QStash) calls `POST /api/cron/<job>`,
//! operators call the same routes with curl, and everything that must
//! outlive a request is in Postgres. There is no timer in here, no queue, no
//! worker loop: a replica more or less changes nothing but the load.
//!
//! # The map
//!
//! A file uses modules of a later line, or of its own:
//!
//! - `main`, then [`cli`] and `demo`: the command line puts the parts together.
//! - [`http`]: who calls (`http::guard`), what they ask, and the only place
//!   that knows axum.
//! - [`config`]: every setting; nothing else reads the environment.
//! - [`views`]: what operators read of jobs, runs and alerts.
//! - [`jobs`]: the six jobs, each a value in [`jobs::ALL`].
//! - [`shop`], [`churn`], [`gyms`], [`reports`], [`retention`]: the rules that
//!   the jobs apply.
//! - [`engine`]: begins a run (ledger and lease), lets its job work batch by
//!   batch behind the fence, settles it, and asks QStash for what is left.
//! - [`alerts`]: the one writer of alerts.
//! - [`stripe`], [`qstash`], [`resend`]: what the outside says, typed.
//! - [`signed_links`], [`outbound`], then [`database`], [`foreign_text`],
//!   [`telemetry`]: the base of all the others. Words of others are stored and
//!   logged as a [`foreign_text::ForeignText`] only.
//!
//! A request goes down this list and comes back: [`http`] checks the caller,
//! [`engine`] writes the run into the ledger and takes the job's lease, the
//! job works through its [`engine::JobContext`], every batch renews the lease
//! or commits nothing ([`engine::Fence`]), and [`engine`] settles the run.
//!
//! # Invariants
//!
//! The compiler checks that nothing imports a job but the registry: the
//! modules of [`jobs`] are private. `tests/it/house.rs` checks the rest:
//!
//! - Imports point one way, as in the map.
//! - Only [`cli`] and `demo` read the registry; the engine knows no job.
//! - Only [`http`] knows axum (and the demo's doubles, servers too).
//! - No job knows HTTP or the ledger, and no job imports another.
//! - No rule and no job reads the clock or the environment: `ctx.now` is bound
//!   into every statement.
//!
//! And two hold by construction: a handler that runs a job or shows rows takes
//! what the guard extracts, so that no such row is touched before it has passed
//! (`tests/it/guard.rs` tries); no state is kept in the process between two
//! requests, but for the count of those that were refused.

pub mod alerts;
pub mod churn;
pub mod cli;
pub mod config;
pub mod database;
#[cfg(feature = "demo")]
pub mod demo;
pub mod engine;
pub mod foreign_text;
pub mod gyms;
pub mod http;
pub mod jobs;
pub mod outbound;
pub mod qstash;
pub mod reports;
pub mod resend;
pub mod retention;
pub mod shop;
pub mod signed_links;
pub mod stripe;
pub mod telemetry;
mod views;
