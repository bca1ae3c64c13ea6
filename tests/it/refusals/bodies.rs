//! How a body is read: its type, its size, its end.

use super::*;

#[rstest]
#[case::with_charset("application/json; charset=utf-8", "{}")]
#[case::in_capitals("Application/JSON", r#"{"dry_run":true}"#)]
#[case::empty_body_of_any_type("text/plain", "")]
#[tokio::test]
async fn what_means_json_is_read_as_json(#[case] kind: &str, #[case] body: &str) {
    let app = App::new().await;
    let reply = post(&app, ROUTE, kind, body.to_owned()).await;
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
}

/// A JSON body of that length.
fn padded(length: usize) -> String {
    let json = r#"{"dry_run":true}"#;
    json.to_owned() + &" ".repeat(length - json.len())
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_not_a_byte_more() {
    let app = App::new().await;
    let largest = post(&app, ROUTE, JSON, padded(65_536)).await;
    assert_eq!(largest.outcome(), (200, "succeeded"), "{largest:?}");
    assert_eq!(largest.body["dry_run"], true);

    let larger = post(&app, ROUTE, JSON, padded(65_537)).await;
    assert_eq!(refusal(&larger), (413, "too_large"));
    let to_qstash = Delivery::of(JOB).body(&padded(65_537)).to(&app).await;
    assert_eq!(refusal(&to_qstash), (413, "too_large"));
}

#[tokio::test]
async fn a_body_is_judged_by_what_it_announces_and_by_what_comes() {
    let app = App::new().await;
    let chunks = |count| {
        let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1024]));
        Body::from_stream(stream::iter(std::iter::repeat_with(chunk).take(count)))
    };
    let fits = post(&app, ROUTE, JSON, chunks(64)).await;
    assert_eq!(fits.outcome(), (200, "succeeded"), "{fits:?}");
    let chunked = post(&app, ROUTE, JSON, chunks(65)).await;
    assert_eq!(refusal(&chunked), (413, "too_large"));

    let headers = [
        ("authorization", format!("Bearer {CRON_SECRET}")),
        ("upstash-signature", Delivery::of(JOB).sign()),
        ("content-length", "65537".to_owned()),
    ];
    let announced = app.call(Method::POST, ROUTE, &headers, "").await;
    assert_eq!(refusal(&announced), (413, "too_large"));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let app = App::new().await;
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err("the line is cut")]);
    let reply = post(&app, ROUTE, JSON, Body::from_stream(broken)).await;
    assert_eq!(refusal(&reply), (400, "broken_body"));
}
