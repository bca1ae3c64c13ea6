//! Whether the process lives, and whether it can work.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::App;

/// `GET /health/live`: the process answers. Asks nothing of the database, so
/// that a database that is away restarts no container.
pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "live" }))
}

/// `GET /health/ready`: the database answers and has every migration.
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let report = app.runner.readiness().await;
    let is_ready = report.database_reached && report.migrations_missing == Some(0);
    let (code, status) = if is_ready {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    let database = if report.database_reached {
        "reached"
    } else {
        "unreachable"
    };
    let migrations = match report.migrations_missing {
        None => "unknown".to_owned(),
        Some(0) => "applied".to_owned(),
        Some(missing) => format!("{missing} missing; run: jarvis-cron migrate"),
    };
    (
        code,
        Json(json!({ "status": status, "database": database, "migrations": migrations })),
    )
}
