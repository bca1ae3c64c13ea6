//! Requests that are not served: what the caller hears, and in which words.

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures::{StreamExt, stream};
use rstest::rstest;
use serde_json::json;

use crate::app::{App, CRON_SECRET, Delivery, JOB, OPERATOR_SECRET, Reply};

mod away;
mod bodies;

const ROUTE: &str = "/api/cron/expire-stale-orders";
const JSON: &str = "application/json";

/// Status and code of a refusal, whose id must be that of its header.
fn refusal(reply: &Reply) -> (u16, &str) {
    let id = reply.body["request_id"].as_str().unwrap_or_default();
    assert_eq!(reply.headers["x-request-id"], id, "{reply:?}");
    assert_eq!(reply.headers["content-type"], JSON);
    assert_eq!(reply.body["success"], false);
    (
        reply.status.as_u16(),
        reply.body["code"].as_str().unwrap_or_default(),
    )
}

/// Calls as an operator, with a body of that type.
async fn post(app: &App, path: &str, kind: &str, body: impl Into<Body>) -> Reply {
    let headers = [
        ("authorization", format!("Bearer {OPERATOR_SECRET}")),
        ("content-type", kind.to_owned()),
    ];
    app.call(Method::POST, path, &headers, body).await
}

#[rstest]
#[case::not_json("", JSON, "{", 400, "bad_json")]
#[case::two_values("", JSON, "{} {}", 400, "bad_json")]
#[case::not_an_object("", JSON, "[]", 400, "bad_json")]
#[case::null("", JSON, "null", 400, "bad_json")]
#[case::other_content_type("", "text/plain", "{}", 415, "content_type")]
#[case::form(
    "",
    "application/x-www-form-urlencoded",
    "limit=5",
    415,
    "content_type"
)]
#[case::similar_content_type("", "application/jsonp", "{}", 415, "content_type")]
#[case::unknown_option("", JSON, r#"{"dryrun":true}"#, 422, "bad_option")]
#[case::unknown_option_in_query("?dryrun=true", JSON, "", 422, "bad_option")]
#[case::useless_option("", JSON, r#"{"force":true}"#, 422, "bad_option")]
#[case::useless_option_in_query(
    "?gym_id=0197b2c4-0000-7000-8000-000000000000",
    JSON,
    "",
    422,
    "bad_option"
)]
#[case::twice("?limit=5", JSON, r#"{"limit":5}"#, 422, "bad_option")]
#[case::twice_in_query("?limit=5&limit=5", JSON, "", 422, "bad_option")]
#[case::twice_in_body("", JSON, r#"{"dry_run":true,"dry_run":false}"#, 422, "bad_option")]
#[case::number_for_flag("?dry_run=1", JSON, "", 422, "bad_option")]
#[case::text_for_number("", JSON, r#"{"limit":"5"}"#, 422, "bad_option")]
#[case::fraction("", JSON, r#"{"limit":1.5}"#, 422, "bad_option")]
#[case::negative("?limit=-1", JSON, "", 422, "bad_option")]
#[case::beyond_the_type("?limit=4294967296", JSON, "", 422, "bad_option")]
#[case::no_batch("?batch_size=0", JSON, "", 422, "bad_option")]
#[case::large_batch("?batch_size=10001", JSON, "", 422, "bad_option")]
#[case::no_rows("?limit=0", JSON, "", 422, "bad_option")]
#[case::shard_out_of_range("?shard=4/4", JSON, "", 422, "bad_option")]
#[case::shard_of_none("?shard=0/0", JSON, "", 422, "bad_option")]
#[case::shard_of_many("?shard=0/65536", JSON, "", 422, "bad_option")]
#[case::shard_in_body("", JSON, r#"{"shard":{"index":4,"count":4}}"#, 422, "bad_option")]
#[case::shard_with_more(
    "",
    JSON,
    r#"{"shard":{"index":0,"count":4,"of":1}}"#,
    422,
    "bad_option"
)]
#[case::future("?as_of=2999-01-01T00:00:00Z", JSON, "", 422, "bad_option")]
#[case::no_moment("?as_of=yesterday", JSON, "", 422, "bad_option")]
#[case::moment_without_zone("?as_of=2026-01-01T00:00:00", JSON, "", 422, "bad_option")]
#[case::moment_before_history("?as_of=-100000-01-01T00:00:00Z", JSON, "", 422, "bad_option")]
#[tokio::test]
async fn what_no_retry_can_fix_is_an_error_to_operators_and_ends_retries_of_qstash(
    #[case] query: &str,
    #[case] kind: &str,
    #[case] body: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let app = App::new().await;
    let mut delivery = Delivery::of(JOB).body(body).without("content-type");
    delivery.path += query;

    let to_operator = post(&app, &format!("{ROUTE}{query}"), kind, body.to_owned()).await;
    let to_qstash = delivery.header("content-type", kind).to(&app).await;

    assert_eq!(refusal(&to_operator), (status, code), "{to_operator:?}");
    assert!(
        !to_operator
            .headers
            .contains_key("upstash-nonretryable-error")
    );
    assert_eq!(refusal(&to_qstash), (489, code), "{to_qstash:?}");
    assert_eq!(to_qstash.headers["upstash-nonretryable-error"], "true");
    assert_eq!(app.count("select count(*) from job_runs").await, 0);
}

#[tokio::test]
async fn an_unknown_job_is_404_to_an_operator_and_the_end_to_qstash() {
    let app = App::new().await;
    let to_operator = app.operate("mow-the-lawn", "").await;
    let to_qstash = app.deliver("mow-the-lawn").await;
    assert_eq!(refusal(&to_operator), (404, "unknown_job"));
    assert_eq!(refusal(&to_qstash), (489, "unknown_job"));
    assert_eq!(to_qstash.headers["upstash-nonretryable-error"], "true");
    let mut body = to_operator.body;
    body["request_id"] = "…".into();
    insta::assert_json_snapshot!(body, @r#"
    {
      "code": "unknown_job",
      "error": "Not Found",
      "message": "there is no such job; there are: expire-stale-orders, cleanup-stale-payment-intents, daily-churn-analysis, health-check-kiosks, cleanup-old-data, weekly-reports",
      "request_id": "…",
      "success": false
    }
    "#);
}

#[rstest]
#[case::cron(ROUTE, Method::GET, "POST")]
#[case::cron_head(ROUTE, Method::HEAD, "POST")]
#[case::cron_put(ROUTE, Method::PUT, "POST")]
#[case::cron_delete(ROUTE, Method::DELETE, "POST")]
#[case::live("/health/live", Method::POST, "GET,HEAD")]
#[case::ready("/health/ready", Method::DELETE, "GET,HEAD")]
#[case::schedules("/health/schedules", Method::OPTIONS, "GET,HEAD")]
#[case::dashboard("/", Method::POST, "GET,HEAD")]
#[case::prometheus("/metrics", Method::PUT, "GET,HEAD")]
#[case::pause("/api/jobs/expire-stale-orders/pause", Method::GET, "POST,DELETE")]
#[case::pause_options("/api/jobs/expire-stale-orders/pause", Method::OPTIONS, "POST,DELETE")]
#[tokio::test]
async fn another_method_gets_the_list_of_those_allowed(
    #[case] path: &str,
    #[case] method: Method,
    #[case] allowed: &str,
) {
    let app = App::new().await;
    let headers = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    let reply = app.call(method.clone(), path, &headers, "").await;
    assert_eq!(reply.status, 405);
    assert_eq!(reply.headers["allow"], allowed);
    if method != Method::HEAD {
        assert_eq!(refusal(&reply), (405, "method_not_allowed"));
    }
}

#[rstest]
#[case("/jobs")]
#[case("/api/cron")]
#[case("/api/cron/")]
#[case("/api/cron/expire-stale-orders/")]
#[case("//health/live")]
#[tokio::test]
async fn an_unknown_page_is_404_in_json(#[case] path: &str) {
    let app = App::new().await;
    let reply = app.call(Method::GET, path, &[], "").await;
    assert_eq!(refusal(&reply), (404, "not_found"));
}
