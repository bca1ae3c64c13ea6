//! Too slow a caller, a database that is away, a process that stops.

use std::net::TcpListener;
use std::time::Duration;

use jarvis_cron::database::MIGRATOR;
use jarvis_cron::http::edge::serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// A service whose database refuses connections, with its clock stopped: time
/// passes as soon as everybody waits for it.
async fn without_database() -> App {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("postgres://postgres:hunter2-is-no-password@{closed}/jarvis");
    let app = App::with(&[("DATABASE_URL", &url)]).await;
    tokio::time::pause();
    app
}

async fn get(app: &App, path: &str) -> (u16, serde_json::Value) {
    let reply = app.call(Method::GET, path, &[], "").await;
    (reply.status.as_u16(), reply.body)
}

#[rstest]
#[case::nothing_comes(Duration::MAX)]
#[case::a_byte_now_and_then(Duration::from_secs(10))]
#[tokio::test]
async fn a_body_that_takes_too_long_is_refused(#[case] pause: Duration) {
    let app = App::new().await;
    let trickle = stream::repeat(()).then(move |()| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>(Bytes::from_static(b" "))
    });
    tokio::time::pause();
    let reply = post(&app, ROUTE, JSON, Body::from_stream(trickle)).await;
    assert_eq!(refusal(&reply), (408, "slow_body"));
    tokio::time::resume();
    assert_eq!(app.count("select count(*) from job_runs").await, 0);
}

#[rstest]
// Who has said nothing is not slow, and waits for no answer.
#[case::nothing_comes("", "")]
#[case::headers_without_end(
    "POST /api/cron/expire-stale-orders HTTP/1.1\r\nhost: localhost\r\n",
    "HTTP/1.1 408 Request Timeout"
)]
#[tokio::test]
async fn headers_that_take_too_long_are_refused(#[case] sent: &str, #[case] answered: &str) {
    let app = App::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, runs) = (app.runner.stop.clone(), app.runner.tasks.clone());
    let service = tokio::spawn(serve(listener, app.router.clone(), stop.clone(), runs));
    let mut caller = TcpStream::connect(address).await.unwrap();
    caller.write_all(sent.as_bytes()).await.unwrap();
    tokio::time::pause();

    let mut answer = String::new();
    caller.read_to_string(&mut answer).await.unwrap();

    assert_eq!(answer.lines().next().unwrap_or_default(), answered);
    stop.cancel();
    service.await.unwrap();
}

#[tokio::test]
async fn a_ready_service_says_so() {
    let app = App::new().await;
    assert_eq!(
        get(&app, "/health/live").await,
        (200, json!({ "status": "live" }))
    );
    let expected = json!({
        "status": "ready",
        "database": "reached",
        "migrations": "applied",
        "rights": "granted",
        "ports": "complete",
    });
    assert_eq!(get(&app, "/health/ready").await, (200, expected));
}

#[tokio::test]
async fn without_its_database_the_process_lives_and_is_not_ready() {
    let app = without_database().await;
    assert_eq!(
        get(&app, "/health/live").await,
        (200, json!({ "status": "live" }))
    );
    assert_eq!(
        get(&app, "/health/ready").await,
        (
            503,
            json!({
                "status": "not_ready",
                "database": "unreachable",
                "migrations": "unknown",
                "rights": "unknown",
                "ports": "unknown",
            })
        )
    );
}

#[rstest]
#[case::one(
    "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)",
    1
)]
#[case::one_half_done(
    "update _sqlx_migrations set success = false where version = (select max(version) from _sqlx_migrations)",
    1
)]
#[case::all("delete from _sqlx_migrations", MIGRATOR.iter().count())]
#[case::even_their_table("drop table _sqlx_migrations", MIGRATOR.iter().count())]
#[tokio::test]
async fn missing_migrations_are_counted(#[case] loss: &str, #[case] missing: usize) {
    let app = App::new().await;
    app.execute(loss).await;
    let migrations = format!("{missing} missing; run: jarvis-cron migrate");
    assert_eq!(
        get(&app, "/health/ready").await,
        (
            503,
            json!({
                "status": "not_ready",
                "database": "reached",
                "migrations": migrations,
                "rights": "granted",
                "ports": "unknown",
            })
        )
    );
}

#[tokio::test]
async fn without_its_database_a_job_is_to_be_tried_later() {
    let app = without_database().await;
    let to_operator = app.operate(JOB, "").await;
    let to_qstash = app.deliver(JOB).await;
    for reply in [&to_operator, &to_qstash] {
        assert_eq!(refusal(reply), (503, "unavailable"));
        assert_eq!(reply.headers["retry-after"], "30");
    }
    let mut body = to_qstash.body;
    body["request_id"] = "…".into();
    insta::assert_json_snapshot!(body, @r#"
    {
      "code": "unavailable",
      "error": "Service Unavailable",
      "message": "the database cannot be reached, or is kept busy by another run",
      "request_id": "…",
      "success": false
    }
    "#);
}

#[tokio::test]
async fn a_process_that_stops_begins_nothing_and_says_when_to_come_back() {
    let app = App::new().await;
    app.runner.stop.cancel();
    for reply in [app.operate(JOB, "").await, app.deliver(JOB).await] {
        assert_eq!(refusal(&reply), (503, "unavailable"));
        assert_eq!(reply.headers["retry-after"], "30");
    }
    let reply = app.call(Method::POST, ROUTE, &[], "").await;
    assert_eq!(refusal(&reply), (401, "unauthorized"));
    assert_eq!(app.count("select count(*) from job_runs").await, 0);
}

#[tokio::test]
async fn every_answer_carries_an_id_of_its_own() {
    let app = App::new().await;
    let mut ids = Vec::new();
    for path in ["/health/live", "/health/ready", "/nowhere", "/health/live"] {
        let request = Request::get(path).header("x-request-id", "of-the-caller");
        let reply = app.request(request.body(Body::empty()).unwrap()).await;
        ids.push(reply.headers["x-request-id"].clone());
    }
    ids.push(app.deliver(JOB).await.headers["x-request-id"].clone());
    ids.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    ids.dedup();
    assert_eq!(ids.len(), 5);
    assert!(!ids.iter().any(|id| id == "of-the-caller"));
}

#[tokio::test]
async fn migrations_that_cannot_be_read_are_not_counted_as_missing() {
    let app = App::new().await;
    app.execute("alter table _sqlx_migrations rename column version to number")
        .await;
    assert_eq!(
        get(&app, "/health/ready").await,
        (
            503,
            json!({
                "status": "not_ready",
                "database": "unreachable",
                "migrations": "unknown",
                "rights": "unknown",
                "ports": "unknown",
            })
        )
    );
}
