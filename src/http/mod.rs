//! The URL space, on one screen. The only place that knows axum.
//!
//! `GET  /health/live`          the process answers
//! `GET  /health/ready`         it can work: database and migrations
//! `POST /api/cron/{job}`       run a job: QStash, or an operator with curl
//! `POST /api/qstash/failures`  a message was given up on: QStash
//! `GET  /api/jobs`             when each job runs, and how it stands: operators
//! `GET  /api/jobs/metrics`     what all runs did together: operators
//! `GET  /api/jobs/{job}/runs`  the runs of a job: operators
//! `GET  /api/runs/{id}`        one run: operators
//! `GET  /reports/{gym}/{week}` a weekly report: operators, and who has a link
//!
//! Owns who may call and what an answer looks like; what a run does is not
//! its business.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::config;
use crate::runs::Runner;

mod cron;
mod failures;
mod guard;
mod health;
mod operator;
mod refusal;
mod reports;
mod requests;
pub mod serve;

use refusal::Refusal;

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct App {
    runner: Runner,
    guard: Arc<config::Guard>,
}

/// The whole service as a router.
pub fn router(runner: Runner, guard: config::Guard) -> Router {
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/api/cron/{job}", post(cron::run))
        .route("/api/qstash/failures", post(failures::note))
        .route("/api/jobs", get(operator::jobs))
        .route("/api/jobs/metrics", get(operator::metrics))
        .route("/api/jobs/{job}/runs", get(operator::runs))
        .route("/api/runs/{id}", get(operator::run))
        .route("/reports/{gym}/{week}", get(reports::report))
        .fallback(async || Refusal::not_found())
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .layer(axum::middleware::from_fn(requests::identify))
        .with_state(App {
            runner,
            guard: Arc::new(guard),
        })
}
