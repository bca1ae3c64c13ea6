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
//! `GET    /api/jobs`             when each job runs, and its state
//! `GET    /api/jobs/metrics`     what all runs did together
//! `GET    /api/jobs/{job}/runs`  the runs of a job
//! `POST   /api/jobs/{job}/pause` keep a job from running
//! `DELETE /api/jobs/{job}/pause` let it run again
//! `GET    /api/runs/{id}`        one run
//! `GET    /metrics`              the same figures, for Prometheus
//! `GET    /openapi.json`         all of this, for programs
//! `GET    /reports/{gym}/{week}` a weekly report; also for readers with a link
//!
//! Owns who may call and what an answer looks like; what a run does is not
//! its business. Path and method of a route are in the annotation of its
//! handler, from which [`openapi`] describes it too.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{OriginalUri, Path};
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use chrono::{DateTime, Utc};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config;
use crate::engine::{Job, Runner};
use crate::qstash::schedules::Schedules;
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
mod private;
mod prometheus;
mod refusal;
mod refusals;
mod reports;
mod requests;
mod shared_answer;
mod status;

use guard::{Room, Verified};
use openapi::JobName;
use refusal::Refusal;
use refusals::Refusals;

/// What the handlers share.
#[derive(Clone)]
struct App {
    runner: Runner,
    views: Views,
    guard: Arc<config::Guard>,
    document: Arc<OpenApi>,
    health: Arc<health::Answers>,
    refusals: Arc<Refusals>,
    /// For the bodies that are held at once.
    room: Room,
}

/// The job that a path names. A path that is no text names none.
type JobPath = Result<Path<JobName>, PathRejection>;

impl App {
    /// The job that the path names.
    fn job(&self, path: JobPath) -> Result<&'static Job, Refusal> {
        let Path(JobName(name)) = path.unwrap_or(Path(JobName::default()));
        let jobs = self.runner.jobs;
        jobs.find(&name)
            .ok_or_else(|| match Schedules::deployed().of(&name) {
                Some(_) => Refusal::job_not_in_use(jobs),
                None => Refusal::unknown_job(jobs),
            })
    }
}

/// This machine's clock, by which credentials expire.
#[expect(
    clippy::disallowed_methods,
    reason = "a token and a link are judged by the wall clock, rows never"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// The whole service as a router.
pub fn router(runner: Runner, guard: config::Guard) -> Router {
    let (router, document) = OpenApiRouter::with_openapi(openapi::without_routes())
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::schedules))
        .routes(routes!(cron::run))
        .routes(routes!(failures::note))
        .routes(routes!(desk::index))
        .routes(routes!(desk::job))
        .routes(routes!(desk::run))
        .routes(routes!(operator::jobs))
        .routes(routes!(operator::metrics))
        .routes(routes!(operator::runs))
        .routes(routes!(pause::pause, pause::resume))
        .routes(routes!(operator::run))
        .routes(routes!(prometheus::metrics))
        .routes(routes!(openapi::document))
        .routes(routes!(reports::report))
        .split_for_parts();
    let document = openapi::with_jobs(document, runner.jobs);
    let refusals = Arc::<Refusals>::default();
    let default =
        |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    // The first is the outermost.
    let layers = ServiceBuilder::new()
        .layer(default(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(default(header::CACHE_CONTROL, "no-store"))
        .layer(from_fn_with_state(refusals.clone(), requests::identify))
        .layer(CatchPanicLayer::custom(requests::panicked));
    router
        .fallback(no_route)
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .layer(layers)
        .with_state(App {
            views: Views::of(&runner),
            runner,
            guard: Arc::new(guard),
            document: Arc::new(document),
            health: Arc::default(),
            refusals,
            room: Room::new(),
        })
}

/// No retry of QStash's makes a route of a path that is none.
async fn no_route(OriginalUri(uri): OriginalUri, request: Result<Verified, Refusal>) -> Refusal {
    let path = uri.path();
    let refusal = if path.len() > 1 && (path.ends_with('/') || path.contains("//")) {
        Refusal::slash_too_many()
    } else {
        Refusal::not_found()
    };
    match request {
        Ok(request) => refusal.to(request.caller.trigger),
        Err(_) => refusal,
    }
}
