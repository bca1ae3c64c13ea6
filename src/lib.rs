//! jarvis-cron: scheduled jobs as plain HTTPS endpoints.
//!
//! An external scheduler (Upstash QStash) calls `POST /api/cron/<job>`,
//! operators call the same routes with curl, and everything that must
//! outlive a request is in Postgres. There is no timer in here, no queue, no
//! worker loop: a replica more or less changes nothing but the load.
//!
//! # The house
//!
//! A request goes down one way and comes back: [`http`] finds out who calls
//! (`http::guard`) and what they ask (`http::cron`); [`runs`] writes the run
//! into the ledger, takes the job's lease, and settles both in the end; the
//! job, a value in [`jobs::ALL`], works batch by batch through its
//! [`jobs::Cx`]; every batch renews the lease or commits nothing
//! ([`jobs::fence`]). What a run leaves, or divides, [`runs`] asks QStash to
//! deliver. [`stripe`], [`qstash`] and [`resend`] say what the outside says.
//! [`cli`] puts the parts together, [`config`] reads every setting,
//! [`database`] knows how to speak to Postgres through a pooler, and
//! [`outbound`] how to call others. `demo` is the same service with a
//! Postgres and a Stripe of its own; the tests live in it too.
//!
//! # What is deliberately absent
//!
//! `tests/it/house.rs` checks these:
//!
//! - Imports point one way: `main`, `cli`, `http`, `runs`, `jobs`, then
//!   `stripe`, `qstash` and `resend`; nothing imports what stands before it.
//! - Only [`http`] knows axum (and the demo's doubles, servers too).
//! - No job knows HTTP or the ledger, and no job imports another.
//! - No job reads the clock or the environment: `cx.now` is bound into every
//!   statement, and [`config`] alone reads variables.
//! - No statement stands outside [`runs`] and [`jobs`], but for how a
//!   transaction begins ([`database`]) and what the demo makes up.
//!
//! And these hold by how it is built: no row is touched before the guard has
//! passed, because the guard is an extractor and only [`runs`] begins a
//! transaction (`tests/it/guard.rs` tries); no state is kept in the process
//! between two requests.

pub mod cli;
pub mod config;
pub mod database;
#[cfg(feature = "demo")]
pub mod demo;
pub mod http;
pub mod jobs;
pub mod outbound;
pub mod qstash;
pub mod resend;
pub mod runs;
pub mod stripe;
pub mod telemetry;
