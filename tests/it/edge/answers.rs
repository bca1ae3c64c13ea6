//! Answers: their headers, whatever they are, and those of a handler that
//! panicked; and the count of refusals.

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures::stream;

use super::*;
use crate::app::{Delivery, Reply};

fn headers(reply: &Reply) -> [&str; 2] {
    ["x-content-type-options", "cache-control"].map(|name| {
        reply
            .headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    })
}

#[tokio::test]
async fn every_answer_may_neither_be_kept_nor_taken_for_another_type() {
    let app = App::new().await;
    let operator = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    let mut replies = vec![app.deliver(JOB).await, app.deliver("no-such-job").await];
    for (method, path) in [
        (Method::GET, "/health/live"),
        (Method::GET, "/health/ready"),
        (Method::GET, "/metrics"),
        (Method::GET, "/openapi.json"),
        (Method::GET, "/nowhere"),
        (Method::PUT, "/metrics"),
        (Method::POST, "/api/cron/expire-stale-orders?limit=0"),
    ] {
        replies.push(app.call(method.clone(), path, &operator, "").await);
        replies.push(app.call(method, path, &[], "").await);
    }
    for reply in &replies {
        assert_eq!(headers(reply), ["nosniff", "no-store"], "{reply:?}");
    }
    let page = app.call(Method::GET, "/", &operator, "").await;
    assert_eq!(headers(&page), ["nosniff", "private, no-store"]);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_for_and_the_next_request_is_served() {
    let app = App::new().await;
    let panics = stream::poll_fn(|_| -> std::task::Poll<Option<std::io::Result<Bytes>>> {
        panic!("of the test")
    });
    let request = Request::post(format!("/api/cron/{JOB}"))
        .header("authorization", format!("Bearer {OPERATOR_SECRET}"))
        .body(Body::from_stream(panics));

    let reply = app.request(request.unwrap()).await;

    let code = reply.body["code"].as_str();
    assert_eq!((reply.status.as_u16(), code), (500, Some("panicked")));
    assert_eq!(reply.body["success"], false);
    let id = reply.body["request_id"].as_str().unwrap();
    assert_eq!(reply.headers["x-request-id"], id);
    assert_eq!(headers(&reply), ["nosniff", "no-store"]);
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
}

#[tokio::test]
async fn refusals_are_counted_by_their_code_also_those_of_the_edge() {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    edge.last_word(b"GARBAGE\r\n\r\n").await;
    for _ in 0..30 {
        Delivery::of(JOB).without("authorization").to(&app).await;
    }
    app.call(Method::GET, "/nowhere", &[], "").await;

    let operator = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    let figures = app.call(Method::GET, "/metrics", &operator, "").await.text;

    for (code, number) in [("not_found", 1), ("not_http", 1), ("unauthorized", 30)] {
        let sample = format!("jarvis_cron_refusals_total{{code=\"{code}\"}} {number}\n");
        assert!(figures.contains(&sample), "{figures}");
    }
}

#[tokio::test]
async fn however_many_ask_for_its_health_the_database_is_asked_once() {
    let app = App::new().await;
    let mut locked = app.db.begin().await.unwrap();
    sqlx::query("lock table _sqlx_migrations in access exclusive mode")
        .execute(&mut *locked)
        .await
        .unwrap();
    let ask = || async {
        let path = "/health/ready";
        app.call(Method::GET, path, &[], "").await.outcome().0
    };
    let all = futures::future::join_all(std::iter::repeat_with(ask).take(50));
    let waiting = "select count(*) from pg_locks where not granted and relation = '_sqlx_migrations'::regclass";
    let at_most_one_waits = async {
        while app.count(waiting).await == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..20 {
            // The server still waits for a while with a question that was given up.
            assert!(app.count(waiting).await <= 2);
        }
        let served = app.deliver(JOB).await.outcome().0;
        locked.rollback().await.unwrap();
        served
    };

    let (answers, served) = tokio::join!(all, at_most_one_waits);

    assert_eq!(served, 200);
    assert!(
        answers[25..].iter().all(|status| *status == 200),
        "{answers:?}"
    );
}

#[tokio::test]
async fn who_asks_while_another_waits_is_given_one_answer_and_who_asks_later_the_next() {
    let app = App::with(&[("DATABASE_ACQUIRE_TIMEOUT_MS", "400")]).await;
    let ask = || async {
        let path = "/health/ready";
        app.call(Method::GET, path, &[], "").await.status.as_u16()
    };
    let mut locked = app.db.begin().await.unwrap();
    sqlx::query("lock table _sqlx_migrations in access exclusive mode")
        .execute(&mut *locked)
        .await
        .unwrap();
    let began = std::time::Instant::now();

    let answers = futures::future::join_all(std::iter::repeat_with(ask).take(50)).await;

    assert_eq!(answers, [503; 50]);
    // Twice as long as one answer takes at the most, and not fifty times.
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
    locked.rollback().await.unwrap();
    assert_eq!(ask().await, 200);
}
