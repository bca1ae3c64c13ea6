//! Whether the process lives, whether it can work, and whether it is called.
//!
//! Open to everybody, so that whatever watches the service needs no secret;
//! what these routes say is no secret either.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::App;
use crate::database::readiness::missing_migrations;
use crate::views::punctuality::Punctuality;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /health/live`: the process answers. Asks nothing of the database, so
/// that a database that is away restarts no container.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// `GET /health/ready`: the database answers and has every migration.
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let missing = missing_migrations(&app.runner.db).await;
    let (code, status) = if missing == Some(0) {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    let (database, migrations) = words(missing);
    (
        code,
        Json(json!({ "status": status, "database": database, "migrations": migrations })),
    )
}

/// `GET /health/schedules`: the scheduler calls every job at its times. What
/// nobody can say, because the database is away, is not well either.
pub(super) async fn schedules(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let jobs = match tokio::time::timeout(PATIENCE, app.views.punctuality()).await {
        Ok(Ok(jobs)) => jobs,
        Ok(Err(stop)) => return unknown(&app, &stop.to_string()).await,
        Err(_) => return unknown(&app, "no answer in time").await,
    };
    let (code, status) = if jobs.iter().any(Punctuality::is_overdue) {
        (StatusCode::SERVICE_UNAVAILABLE, "overdue")
    } else {
        (StatusCode::OK, "on_time")
    };
    (code, Json(json!({ "status": status, "jobs": jobs })))
}

async fn unknown(app: &App, cause: &str) -> (StatusCode, Json<Value>) {
    tracing::warn!(cause, "the deliveries cannot be read");
    let (database, migrations) = words(missing_migrations(&app.runner.db).await);
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({ "status": "unknown", "database": database, "migrations": migrations })),
    )
}

fn words(missing: Option<usize>) -> (&'static str, String) {
    let database = if missing.is_some() {
        "reached"
    } else {
        "unreachable"
    };
    let migrations = match missing {
        None => "unknown".to_owned(),
        Some(0) => "applied".to_owned(),
        Some(missing) => format!("{missing} missing; run: jarvis-cron migrate"),
    };
    (database, migrations)
}
