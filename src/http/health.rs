//! Whether the process lives, whether it can work, and whether it is called.
//!
//! Open to everybody, so that whatever watches the service needs no secret;
//! what these routes say is no secret either. However many ask at once, the
//! database is asked once.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::shared_answer::SharedAnswer;
use crate::database::readiness::{Readiness, readiness};
use crate::views::punctuality::Punctuality;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the routes answered that ask the database.
#[derive(Default)]
pub(super) struct Answers {
    ready: SharedAnswer<(StatusCode, Json<Ready>)>,
    schedules: SharedAnswer<(StatusCode, Json<SchedulesHealth>)>,
}

/// The process answers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "status": "live" }))]
pub(super) struct Live {
    status: &'static str,
}

/// Whether it can work.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "status": "ready",
    "database": "reached",
    "migrations": "applied",
    "rights": "granted",
    "ports": "complete",
}))]
pub(super) struct Ready {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// `reached`, `read_only` or `unreachable`.
    database: &'static str,
    /// `applied`, `unknown`, or how many are missing.
    migrations: String,
    /// `granted`, `unknown`, or what the role of DATABASE_URL may not do.
    rights: String,
    /// `complete`, `unknown`, or what the host's views lack where they stand
    /// for our tables.
    ports: String,
}

/// Whether the scheduler calls every job at its times.
#[derive(Debug, Default, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "status": "on_time",
    "jobs": [{
        "job": "expire-stale-orders",
        "state": "on_time",
        "overdue_seconds": 0,
        "last_expected_tick": "2026-01-31T12:00:00Z",
        "last_delivery": "2026-01-31T12:00:01.5Z",
    }],
}))]
pub(super) struct SchedulesHealth {
    /// `on_time`, `overdue`, or `unknown` while the database cannot say.
    status: &'static str,
    /// Each job; left out while unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    jobs: Option<Vec<Punctuality>>,
    /// Only while unknown: as `/health/ready` says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    database: Option<&'static str>,
    /// Only while unknown: as `/health/ready` says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    migrations: Option<String>,
}

/// The process answers
///
/// Asks nothing of the database, so that a database that is away restarts no
/// container.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "get_health_live",
    responses((status = 200, body = Live, description = "It is well.")),
    security(()),
)]
pub(super) async fn live() -> Json<Live> {
    Json(Live { status: "live" })
}

/// It can work: the database can be written, with all migrations and rights
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "get_health_ready",
    responses(
        (status = 200, body = Ready, description = "It is well."),
        (status = 503, body = Ready, description = "The database is away, is read-only, or lacks migrations, rights or what the host's views must have."),
    ),
    security(()),
)]
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    shared(&app).await
}

/// Whether runs can begin.
pub(super) async fn is_ready(app: &App) -> bool {
    shared(app).await.0 == StatusCode::OK
}

async fn shared(app: &App) -> (StatusCode, Json<Ready>) {
    app.health.ready.ask(async || asked(app).await).await
}

async fn asked(app: &App) -> (StatusCode, Json<Ready>) {
    let found = readiness(&app.runner.db).await;
    let (code, status) = if found.as_ref().is_some_and(Readiness::is_ready) {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    let ready = Ready {
        status,
        database: database(found.as_ref()),
        migrations: migrations(found.as_ref()),
        rights: rights(found.as_ref()),
        ports: ports(found.as_ref()),
    };
    (code, Json(ready))
}

/// The scheduler calls every job at its times
///
/// What is unknown, because the database is away, is not well either.
#[utoipa::path(
    get,
    path = "/health/schedules",
    operation_id = "get_health_schedules",
    responses(
        (status = 200, body = SchedulesHealth, description = "It is well."),
        (status = 503, body = SchedulesHealth, description = "A job is overdue, or the database is away."),
    ),
    security(()),
)]
pub(super) async fn schedules(State(app): State<App>) -> (StatusCode, Json<SchedulesHealth>) {
    app.health
        .schedules
        .ask(async || are_on_time(&app).await)
        .await
}

async fn are_on_time(app: &App) -> (StatusCode, Json<SchedulesHealth>) {
    let jobs = match tokio::time::timeout(PATIENCE, app.views.punctuality()).await {
        Ok(Ok(jobs)) => jobs,
        Ok(Err(error)) => return unknown(app, &error.to_string()).await,
        Err(_) => return unknown(app, "no answer in time").await,
    };
    let (code, status) = if jobs.iter().any(Punctuality::is_overdue) {
        (StatusCode::SERVICE_UNAVAILABLE, "overdue")
    } else {
        (StatusCode::OK, "on_time")
    };
    let health = SchedulesHealth {
        status,
        jobs: Some(jobs),
        ..SchedulesHealth::default()
    };
    (code, Json(health))
}

async fn unknown(app: &App, cause: &str) -> (StatusCode, Json<SchedulesHealth>) {
    tracing::warn!(cause, "Failed to read the deliveries");
    let found = readiness(&app.runner.db).await;
    let health = SchedulesHealth {
        status: "unknown",
        database: Some(database(found.as_ref())),
        migrations: Some(migrations(found.as_ref())),
        ..SchedulesHealth::default()
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(health))
}

fn database(found: Option<&Readiness>) -> &'static str {
    match found {
        None => "unreachable",
        Some(found) if found.is_read_only => "read_only",
        Some(_) => "reached",
    }
}

fn migrations(found: Option<&Readiness>) -> String {
    match found.and_then(|found| found.migrations_missing) {
        None => "unknown".to_owned(),
        Some(0) => "applied".to_owned(),
        Some(missing) => format!("{missing} missing; run: jarvis-cron migrate"),
    }
}

fn rights(found: Option<&Readiness>) -> String {
    match found.map(|found| &*found.rights_missing) {
        None => "unknown".to_owned(),
        Some([]) => "granted".to_owned(),
        Some(missing) => format!("lacks {}", missing.join("; ")),
    }
}

fn ports(found: Option<&Readiness>) -> String {
    match found.and_then(|found| found.ports_lacking.as_deref()) {
        None => "unknown".to_owned(),
        Some([]) => "complete".to_owned(),
        Some(lacking) => lacking.join("; "),
    }
}
