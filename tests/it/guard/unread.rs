//! How much of a body is read, and for whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Bytes;
use futures::stream;

use super::*;

/// A body without end that counts how often it is asked for more.
fn counted() -> (Body, Arc<AtomicU32>) {
    let polled = Arc::new(AtomicU32::new(0));
    let count = polled.clone();
    let chunks = stream::repeat_with(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 8192]))
    });
    (Body::from_stream(chunks), polled)
}

#[rstest]
#[case::announced(Some("10485760"))]
#[case::chunked(None)]
#[tokio::test]
async fn a_wrong_secret_is_refused_before_a_byte_of_the_body_is_read(#[case] length: Option<&str>) {
    let app = App::new().await;
    let (body, polled) = counted();
    let mut request = Request::post(ROUTE).header("authorization", "Bearer wrong");
    if let Some(length) = length {
        request = request.header("content-length", length);
    }

    let reply = app.request(request.body(body).unwrap()).await;

    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(polled.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_right_secret_has_no_more_of_its_body_read_than_the_limit() {
    let app = App::new().await;
    for secret in [CRON_SECRET, OPERATOR_SECRET] {
        let (body, polled) = counted();
        let request = Request::post(ROUTE)
            .header("authorization", bearer(secret))
            .header("upstash-signature", Delivery::of(JOB).sign());

        let reply = app.request(request.body(body).unwrap()).await;

        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert!(
            (1..=9).contains(&polled.load(Ordering::Relaxed)),
            "{polled:?}"
        );
    }
}
