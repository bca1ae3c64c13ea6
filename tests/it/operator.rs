//! What operators read: the state of the jobs, their runs, and who may ask.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{App, CRON_SECRET, Delivery, JOB, OPERATOR_SECRET, Reply};

mod dashboard;
mod metrics;
mod openapi;
mod overdue;
mod pause;
mod prometheus;
mod runs;
mod schedules;
mod ticks;

const ROUTES: [&str; 4] = [
    "/api/jobs",
    "/api/jobs/metrics",
    "/api/jobs/expire-stale-orders/runs",
    "/api/runs/01900000-0000-7000-8000-000000000001",
];

/// The same for a browser or a program.
const PAGES: [&str; 5] = [
    "/",
    "/jobs/expire-stale-orders",
    "/runs/01900000-0000-7000-8000-000000000001",
    "/metrics",
    "/openapi.json",
];

/// Reads as an operator.
async fn read(app: &App, path: &str) -> Reply {
    let headers = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    app.call(Method::GET, path, &headers, "").await
}

/// The entry of the job that the tests run.
async fn standing(app: &App) -> Value {
    let reply = read(app, "/api/jobs").await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let jobs = reply.body["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), jarvis_cron::jobs::ALL.iter().count());
    jobs.iter().find(|job| job["job"] == JOB).unwrap().clone()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[tokio::test]
async fn a_job_that_never_ran_says_when_it_will() {
    let app = App::new().await;
    let job = standing(&app).await;
    assert_eq!(job["schedule"], "*/5 * * * *");
    assert_eq!(job["schedule_id"], "jarvis-expire-stale-orders");
    assert_eq!(job["time_zone"], "Europe/Paris");
    assert!(
        job["description"]
            .as_str()
            .unwrap()
            .contains("unpaid orders")
    );
    for unset in ["pause", "last_run", "last_success"] {
        assert_eq!(job[unset], Value::Null, "{unset}");
    }
    let reply = read(&app, "/api/jobs").await;
    let moment = |value: &Value| -> chrono::DateTime<chrono::Utc> {
        value.as_str().unwrap().parse().unwrap()
    };
    let wait = moment(&reply.body["jobs"][0]["next_tick"]) - moment(&reply.body["at"]);
    assert!(wait > chrono::TimeDelta::zero() && wait <= chrono::TimeDelta::minutes(5));
}

#[tokio::test]
async fn a_job_tells_its_last_run_and_its_last_success_apart() {
    let app = App::new().await;
    app.stale_order().await;
    let good = app.deliver(JOB).await;
    app.operate(JOB, "dry_run=true").await;
    let job = standing(&app).await;
    assert_eq!(job["last_run"]["run_id"], good.body["run_id"]);
    assert_eq!(job["last_run"]["status"], "succeeded");
    assert_eq!(job["last_run"]["results"]["orders_expired"], 1);

    app.execute("alter table orders rename to orders_away")
        .await;
    let bad = app.deliver(JOB).await;
    assert_eq!(bad.outcome(), (500, "failed"));

    let job = standing(&app).await;
    assert_eq!(job["last_run"]["run_id"], bad.body["run_id"]);
    assert_eq!(job["last_run"]["status"], "failed");
    let error = job["last_run"]["error"].as_str().unwrap();
    assert!(error.contains("orders"), "{error}");
    assert_eq!(job["last_success"]["run_id"], good.body["run_id"]);
}

#[rstest]
#[case::for_good("null", true)]
#[case::still("now() + interval '1 hour'", true)]
#[case::over("now() - interval '1 hour'", false)]
#[tokio::test]
async fn a_pause_is_shown_while_it_lasts(#[case] until: &str, #[case] is_shown: bool) {
    let app = App::new().await;
    app.execute(&format!(
        "insert into job_pauses (job, reason, paused_by, until)
         values ('{JOB}', 'stocktaking', 'ada', {until})"
    ))
    .await;
    let pause = &standing(&app).await["pause"];
    let expected = if is_shown {
        json!("stocktaking")
    } else {
        Value::Null
    };
    assert_eq!(pause["reason"], expected);
}

#[rstest]
#[case::nothing(None)]
#[case::the_schedulers_secret(Some(format!("Bearer {CRON_SECRET}")))]
#[case::another_secret(Some(format!("Bearer {OPERATOR_SECRET}x")))]
#[case::an_empty_bearer(Some("Bearer ".to_owned()))]
#[case::no_scheme(Some(OPERATOR_SECRET.to_owned()))]
#[case::basic_of_another(Some(basic("ada", CRON_SECRET)))]
#[case::basic_without_colon(Some(format!("Basic {}", STANDARD.encode(OPERATOR_SECRET))))]
#[case::basic_as_user(Some(basic(OPERATOR_SECRET, "")))]
#[case::basic_of_no_base64(Some("Basic ***".to_owned()))]
#[tokio::test]
async fn only_an_operator_reads(#[case] credential: Option<String>) {
    let app = App::new().await;
    app.execute("drop table job_runs cascade").await; // a handler that reads it fails otherwise
    for route in ROUTES.iter().chain(&PAGES) {
        let headers: Vec<(&str, String)> = credential
            .iter()
            .map(|value| ("authorization", value.clone()))
            .collect();
        let reply = app.call(Method::GET, route, &headers, "").await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{route}");
        assert_eq!(reply.body["code"], "unauthorized");
        assert_eq!(reply.body["message"], Value::Null);
        let challenge = reply.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Basic "), "{challenge}");
    }
}

#[tokio::test]
async fn a_signed_delivery_reads_nothing() {
    let app = App::new().await;
    let delivery = Delivery {
        path: "/api/jobs".to_owned(),
        ..Delivery::of(JOB)
    };
    let request = Request::get("/api/jobs")
        .header("upstash-signature", delivery.sign())
        .header("authorization", format!("Bearer {CRON_SECRET}"));
    let reply = app.request(request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_credential_given_twice_opens_nothing() {
    let app = App::new().await;
    let bearer = ("authorization", format!("Bearer {OPERATOR_SECRET}"));
    let twice = [bearer.clone(), bearer];
    let reply = app.call(Method::GET, "/api/jobs", &twice, "").await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_an_operators_secret_no_caller_reads() {
    let app = App::with(&[("OPERATOR_SECRET", "")]).await;
    for credential in [format!("Bearer {OPERATOR_SECRET}"), basic("ada", "")] {
        let headers = [("authorization", credential)];
        let reply = app.call(Method::GET, "/api/jobs", &headers, "").await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_browser_reads_with_the_secret_as_its_password() {
    let app = App::new().await;
    let headers = [(
        "authorization",
        basic("ada:with a colon? no, the first ends it", ""),
    )];
    let reply = app.call(Method::GET, "/api/jobs", &headers, "").await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);

    let headers = [("authorization", basic("ada", OPERATOR_SECRET))];
    for route in &ROUTES[..3] {
        let reply = app.call(Method::GET, route, &headers, "").await;
        assert_eq!(reply.status, StatusCode::OK, "{route}");
    }
    // A browser sends it along by itself, also from a page of another site.
    let reply = app
        .call(Method::POST, "/api/cron/expire-stale-orders", &headers, "")
        .await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_read_cannot_be_posted() {
    let app = App::new().await;
    let headers = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    for route in ROUTES.iter().chain(&PAGES) {
        let reply = app.call(Method::POST, route, &headers, "").await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED, "{route}");
        assert_eq!(reply.headers["allow"], "GET,HEAD");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_said_so() {
    let app = App::without_a_database().await;
    for route in ROUTES.iter().chain(&PAGES[..3]) {
        let reply = read(&app, route).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{route}");
        assert!(reply.headers.contains_key("retry-after"));
    }
}
