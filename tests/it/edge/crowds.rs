//! A crowd without a credential: who is served all the same, what of it is
//! counted, and how the service ends in it.

use super::*;
use crate::app::{CRON_SECRET, Delivery};

fn at_most(connections: usize) -> Limits {
    Limits {
        connections,
        ..Limits::default()
    }
}

/// Callers who hold a place, one more at a time, and ask for nothing.
async fn crowd(edge: &Edge, number: usize) -> Vec<Caller> {
    let mut crowd = Vec::new();
    for said in ["", "GET /half-a-head"].into_iter().cycle().take(number) {
        let mut caller = edge.call().await;
        caller.say(said).await;
        crowd.push(caller);
    }
    crowd
}

#[tokio::test]
async fn who_watches_the_service_is_answered_while_a_crowd_holds_every_place() {
    let app = App::new().await;
    let edge = Edge::of(app.router.clone(), at_most(64)).await;
    let _crowd = crowd(&edge, 200).await;
    for path in ["/health/live", "/health/ready"].repeat(10) {
        let mut watching = edge.call().await;
        let asked = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let answer = tokio::time::timeout(Duration::from_secs(5), watching.ask(&asked)).await;
        assert_eq!(answer.expect("no place").status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_eighth_of_the_places_stays_free_and_who_had_to_go_is_counted() {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), at_most(16)).await;

    let mut crowd = crowd(&edge, 40).await;

    for caller in &mut crowd[..26] {
        let gone = tokio::time::timeout(Duration::from_secs(10), caller.is_closed());
        assert!(gone.await.expect("too many keep their place"));
    }
    for caller in &mut crowd[26..] {
        let answer = caller
            .ask("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
        assert!([400, 401].contains(&answer.status), "{answer:?}");
    }
    let operator = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    let figures = app
        .call(axum::http::Method::GET, "/metrics", &operator, "")
        .await
        .text;
    let sample = "jarvis_cron_refusals_total{code=\"crowded_out\"} 26\n";
    assert!(figures.contains(sample), "{figures}");
}

#[tokio::test]
async fn a_delivery_whose_body_is_on_its_way_keeps_its_place() {
    let app = App::new().await;
    let edge = Edge::of(app.router.clone(), at_most(8)).await;
    let delivery = Delivery::of(JOB).body(r#"{"dry_run":true}"#);
    let mut uploading = edge.call().await;
    uploading
        .say(&format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {CRON_SECRET}\r\nupstash-signature: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
            delivery.path,
            delivery.sign(),
            delivery.body.len(),
        ))
        .await;
    uploading.is_told_to_go_on().await;
    let (first, rest) = delivery.body.split_at(5);
    uploading.say(first).await;

    let _crowd = crowd(&edge, 40).await;

    let answer = uploading.ask(rest).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn no_head_that_has_begun_is_waited_for_once_the_service_must_stop() {
    let app = App::without_a_database().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stop, runs) = (CancellationToken::new(), TaskTracker::new());
    let edge = Edge {
        address: listener.local_addr().unwrap(),
        _stop: stop.clone().drop_guard(),
    };
    let serving = serve_within(
        at_most(64),
        listener,
        app.router.clone(),
        stop.clone(),
        runs,
    );
    let serving = tokio::spawn(serving);
    let mut crowd = crowd(&edge, 20).await;
    // All who came before have been heard.
    assert_eq!(edge.call().await.ask(LIVE).await.status, 200);

    stop.cancel();

    let ended = tokio::time::timeout(Duration::from_secs(5), serving).await;
    ended.expect("it waits for who is silent").unwrap();
    for caller in &mut crowd {
        assert!(caller.is_closed().await);
    }
}
