//! Bodies: how many are held at once, and for whom one is read at all.

use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::http::request::Builder;
use futures::{StreamExt, stream};
use tokio::sync::oneshot;

use super::*;
use crate::app::{CRON_SECRET, Delivery};

const FAILURES: &str = "/api/qstash/failures";

/// A callback as QStash makes it, its body left out.
fn callback() -> Builder {
    let delivery = Delivery {
        path: FAILURES.to_owned(),
        ..Delivery::of(JOB).body("{}")
    };
    Request::post(FAILURES)
        .header("authorization", format!("Bearer {CRON_SECRET}"))
        .header("upstash-signature", delivery.sign())
}

/// A body that comes when it is told to, and whether it was asked for.
fn withheld() -> (Body, oneshot::Sender<()>, oneshot::Receiver<()>) {
    let (release, released) = oneshot::channel::<()>();
    let (asked, is_asked) = oneshot::channel();
    let body = async move {
        asked.send(()).unwrap();
        let _ = released.await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"{}"))
    };
    (
        Body::from_stream(stream::once(body).boxed()),
        release,
        is_asked,
    )
}

#[tokio::test]
async fn four_of_the_largest_bodies_are_held_at_once_and_the_next_is_to_come_again() {
    let app = App::new().await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let (body, release, is_asked) = withheld();
        let (router, request) = (app.router.clone(), callback().body(body).unwrap());
        let answer = tokio::spawn(tower::ServiceExt::oneshot(router, request));
        is_asked.await.unwrap();
        held.push((release, answer));
    }
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let (body, _release, mut is_asked) = withheld();

    let refused = app.request(callback().body(body).unwrap()).await;

    assert_eq!(
        (refused.status.as_u16(), began.elapsed().as_secs()),
        (503, 2)
    );
    assert_eq!(refused.body["code"], "unavailable");
    assert_eq!(refused.headers["retry-after"], "30");
    assert!(is_asked.try_recv().is_err(), "a byte of it was read");
    tokio::time::resume();
    // What needs no room is served.
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
    let (release, answer) = held.remove(0);
    release.send(()).unwrap();
    assert_eq!(answer.await.unwrap().unwrap().status(), 489);
    let next = app.request(callback().body("{}".into()).unwrap()).await;
    assert_eq!(next.status, 489, "{next:?}");
}

#[tokio::test]
async fn without_a_signature_no_byte_of_a_body_is_read() {
    let app = App::new().await;
    for path in [FAILURES, "/api/cron/expire-stale-orders"] {
        for token in ["", "not.a.token", &Delivery::of("another").sign()] {
            let (body, _release, mut is_asked) = withheld();
            let request = Request::post(path)
                .header("authorization", format!("Bearer {CRON_SECRET}"))
                .header("upstash-signature", token);
            let reply = app.request(request.body(body).unwrap()).await;
            assert_eq!(reply.status, 401, "{reply:?}");
            assert!(is_asked.try_recv().is_err(), "a byte of it was read");
        }
    }
}
