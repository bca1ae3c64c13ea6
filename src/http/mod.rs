//! The URL space, on one screen. The only place that knows axum.
//!
//! For everybody:
//! `GET    /health/live`          the process answers
//! `GET    /health/ready`         it can work: database and migrations
//! `GET    /health/schedules`     the scheduler calls every job at its times
//!
//! For QStash, and an operator with curl:
//! `POST   /api/cron/{job}`       run a job
//!
//! For QStash alone:
//! `POST   /api/qstash/failures`  a message was given up on
//!
//! For operators:
//! `GET    /`                     the dashboard
//! `GET    /jobs/{job}`           a job and its runs, as a page
//! `GET    /runs/{id}`            a run, as a page
//! `GET    /api/jobs`             when each job runs, and how it stands
//! `GET    /api/jobs/metrics`     what all runs did together
//! `GET    /api/jobs/{job}/runs`  the runs of a job
//! `POST   /api/jobs/{job}/pause` keep a job from running
//! `DELETE /api/jobs/{job}/pause` let it run again
//! `GET    /api/runs/{id}`        one run
//! `GET    /metrics`              the same figures, for Prometheus
//! `GET    /openapi.json`         all of this, for programs
//! `GET    /reports/{gym}/{week}` a weekly report; also for who has a link
//!
//! Owns who may call and what an answer looks like; what a run does is not
//! its business.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::config;
use crate::engine::{Job, Runner};
use crate::views::Views;

mod cron;
mod desk;
pub mod edge;
mod failures;
mod guard;
mod health;
mod openapi;
mod operator;
mod pause;
mod prometheus;
mod refusal;
mod reports;
mod requests;
mod status;

use refusal::Refusal;

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct App {
    runner: Runner,
    views: Views,
    guard: Arc<config::Guard>,
}

impl App {
    /// The job of that name.
    fn job(&self, name: &str) -> Result<&'static Job, Refusal> {
        let jobs = self.runner.jobs;
        jobs.find(name).ok_or_else(|| Refusal::unknown_job(jobs))
    }
}

/// The whole service as a router.
pub fn router(runner: Runner, guard: config::Guard) -> Router {
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/schedules", get(health::schedules))
        .route("/api/cron/{job}", post(cron::run))
        .route("/api/qstash/failures", post(failures::note))
        .route("/", get(desk::index))
        .route("/jobs/{job}", get(desk::job))
        .route("/runs/{id}", get(desk::run))
        .route("/api/jobs", get(operator::jobs))
        .route("/api/jobs/metrics", get(operator::metrics))
        .route("/api/jobs/{job}/runs", get(operator::runs))
        .route(
            "/api/jobs/{job}/pause",
            post(pause::pause).delete(pause::resume),
        )
        .route("/api/runs/{id}", get(operator::run))
        .route("/metrics", get(prometheus::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/reports/{gym}/{week}", get(reports::report))
        .fallback(async || Refusal::not_found())
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .layer(axum::middleware::from_fn(requests::identify))
        .with_state(App {
            views: Views::of(&runner),
            runner,
            guard: Arc::new(guard),
        })
}
