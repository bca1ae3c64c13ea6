//! Answers that no type of their own builds, as they look: for the document
//! alone. A test holds real answers against them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::status::JobStatus;
use crate::views::punctuality::Punctuality;

/// What became of a call for a run.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "success": true,
    "job": "expire-stale-orders",
    "status": "succeeded",
    "run_id": "01993f1e-7c1a-7c3e-9d55-0d4f6a0e1b2c",
    "message": "expire-stale-orders succeeded",
    "dry_run": false,
    "started_at": "2026-01-31T12:00:00.123456Z",
    "duration_ms": 184,
    "results": { "orders_expired": 3, "stock_released": 7, "errors": [] },
}))]
pub(super) struct RunAnswer {
    /// Whether the work was done, or need not be.
    success: bool,
    job: String,
    status: Outcome,
    run_id: Uuid,
    /// A sentence for people.
    message: String,
    dry_run: bool,
    started_at: DateTime<Utc>,
    /// Null while it runs.
    #[schema(required)]
    duration_ms: Option<i64>,
    /// What was done, by the job's own counts.
    #[schema(value_type = Object)]
    results: Value,
    /// Of a skipped run: `paused` or `already_running`.
    #[schema(nullable = false)]
    code: Option<String>,
    /// Of a partial run: whether a continuation was published.
    #[schema(nullable = false)]
    continued: Option<bool>,
    /// Of a partial run that is continued: QStash's id of the message.
    #[schema(nullable = false)]
    continuation_message_id: Option<String>,
    /// Of a partial run that is not continued: why, in a word.
    #[schema(nullable = false)]
    not_continued: Option<String>,
    /// Why it could not go on; to operators only.
    #[schema(nullable = false)]
    error: Option<String>,
}

/// How a call ended. `replayed`: it had been settled before, and these are
/// its stored results. `running`: the same message is being worked on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document alone")]
enum Outcome {
    Succeeded,
    Partial,
    Skipped,
    Failed,
    Fenced,
    Abandoned,
    Replayed,
    Running,
}

/// Why a request was not served.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "success": false,
    "error": "Unauthorized",
    "code": "unauthorized",
    "request_id": "01993f1e-7c1a-7c3e-9d55-0d4f6a0e1b2c",
}))]
pub(super) struct Refused {
    /// Always false.
    success: bool,
    /// The status in words.
    error: String,
    /// The same for programs.
    code: String,
    /// The request, as the log and `X-Request-Id` have it.
    request_id: Uuid,
    /// What is wrong and how to mend it; a 401 has none.
    #[schema(nullable = false)]
    message: Option<String>,
}

/// What QStash tells of a message it has given up on; more fields are let be.
/// <https://upstash.com/docs/qstash/features/callbacks>
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FailureCallback {
    source_message_id: String,
    /// What was called.
    #[schema(nullable = false)]
    url: Option<String>,
    /// Which schedule the message came from, if any.
    #[schema(nullable = false)]
    schedule_id: Option<String>,
    /// The last answer's status.
    #[schema(nullable = false)]
    status: Option<i64>,
    /// The last answer, in Base64; may be cut off.
    #[schema(nullable = false)]
    body: Option<String>,
    /// What was delivered, in Base64.
    #[schema(nullable = false)]
    source_body: Option<String>,
    #[schema(nullable = false)]
    retried: Option<i64>,
    #[schema(nullable = false)]
    max_retries: Option<i64>,
    #[schema(nullable = false)]
    dlq_id: Option<String>,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "success": true,
    "job": "expire-stale-orders",
    "message_id": "msg_26hZCxZCuWyyTWPmSVBrNCtiJF",
    "schedule_id": "jarvis-expire-stale-orders",
    "status": "opened",
    "message": "the alert schedule_failing is open until the schedule succeeds again",
}))]
pub(super) struct FailureNoted {
    /// Always true.
    success: bool,
    job: String,
    message_id: String,
    /// Which schedule it counts for.
    schedule_id: String,
    /// `opened`, `bumped`, `mended`, `rehearsed` or `known`.
    status: String,
    /// A sentence for people.
    message: String,
}

/// The process answers.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "status": "live" }))]
pub(super) struct Live {
    status: String,
}

/// Whether it can work.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "status": "ready", "database": "reached", "migrations": "applied" }))]
pub(super) struct Ready {
    /// `ready` or `not_ready`.
    status: String,
    /// `reached` or `unreachable`.
    database: String,
    /// `applied`, `unknown`, or how many are missing.
    migrations: String,
}

/// Whether the scheduler calls every job at its times.
#[derive(Serialize, ToSchema)]
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
    status: String,
    /// Each job; left out while unknown.
    #[schema(nullable = false)]
    jobs: Option<Vec<Punctuality>>,
    /// Only while unknown: as `/health/ready` says it.
    #[schema(nullable = false)]
    database: Option<String>,
    /// Only while unknown: as `/health/ready` says it.
    #[schema(nullable = false)]
    migrations: Option<String>,
}

/// How every job stands.
#[derive(Serialize, ToSchema)]
pub(super) struct Jobs {
    /// The moment at which it was so.
    at: DateTime<Utc>,
    jobs: Vec<JobStatus>,
}

/// What all runs did together.
#[derive(Serialize, ToSchema)]
pub(super) struct Metrics {
    /// The moment at which it was so.
    at: DateTime<Utc>,
    payments_expired_total: i64,
    payment_intents_canceled_total: i64,
    stock_released_total: i64,
    rows_erased_total: i64,
    alerts_opened_total: i64,
    alerts_resolved_total: i64,
    alerts_escalated_total: i64,
    /// Alerts that stand open, by kind.
    #[schema(value_type = std::collections::BTreeMap<String, i64>)]
    alerts_open: Value,
    /// The figures of each job, by its name.
    #[schema(value_type = Object)]
    jobs: Value,
}
