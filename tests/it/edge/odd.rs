//! Requests as no client should write them: each is answered, once, and none of
//! them is taken for another.

use super::*;

/// Head of a run that an operator asks for, up to the empty line.
fn run() -> String {
    format!(
        "POST /api/cron/{JOB}?dry_run=true HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {OPERATOR_SECRET}\r\ncontent-type: application/json\r\n"
    )
}

/// A run with these headers and this body, that ends the connection.
fn runs_with(more: &str, body: &str) -> Vec<u8> {
    format!("{}connection: close\r\n{more}\r\n\r\n{body}", run()).into()
}

/// A head that ends the connection.
fn head(line: &str, more: &str) -> Vec<u8> {
    format!("{line}\r\nhost: a\r\nconnection: close\r\n{more}\r\n").into()
}

const CHUNKED: &str = "transfer-encoding: chunked";

#[tokio::test]
async fn a_body_has_one_length_or_none_is_read() {
    let app = App::new().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    for (more, body, status) in [
        (CHUNKED, "2\r\n{}\r\n0\r\n\r\n", 200),
        (CHUNKED, "2;a=b\r\n{}\r\n0\r\nx: y\r\n\r\n", 200),
        (CHUNKED, "zz\r\n{}\r\n0\r\n\r\n", 400),
        (
            "content-length: 9\r\ntransfer-encoding: chunked",
            "2\r\n{}\r\n0\r\n\r\n",
            200,
        ),
        ("transfer-encoding: gzip", "{}", 400),
        ("transfer-encoding: chunked, gzip", "{}", 400),
        ("content-length: 2\r\ncontent-length: 2", "{}", 200),
        ("content-length: 2\r\ncontent-length: 3", "{}", 400),
        ("content-length: 18446744073709551615", "{}", 431),
        ("content-length: 99999999999999999999999", "{}", 400),
        ("content-length: -1", "{}", 400),
        ("content-length: +2", "{}", 400),
        ("content-length: 9999999", "{}", 413),
    ] {
        let answer = edge.last_word(&runs_with(more, body)).await;
        assert_eq!(answer.status, status, "{more}: {answer:?}");
        assert!(answer.is_safe(), "{more}: {answer:?}");
    }
    assert_eq!(app.count("select count(*) from job_runs").await, 4);
}

#[tokio::test]
async fn a_path_is_taken_as_it_is_written() {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    for (line, status) in [
        ("GET http://other.example/health/live HTTP/1.1", 200),
        ("GET http://other.example HTTP/1.1", 401),
        ("GET /health/../metrics HTTP/1.1", 404),
        ("GET /health%2flive HTTP/1.1", 404),
        ("GET /health/live%00 HTTP/1.1", 404),
        ("GET /health/live\0 HTTP/1.1", 400),
        ("GET /santé HTTP/1.1", 404),
        ("GET // HTTP/1.1", 404),
        ("GET * HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 404),
        ("CONNECT other.example:443 HTTP/1.1", 404),
        ("BREW /health/live HTTP/1.1", 405),
        ("GET /health/live", 400),
    ] {
        let answer = edge.last_word(&head(line, "")).await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        assert!(answer.is_safe(), "{line}: {answer:?}");
    }
    let no_text = b"GET /health/\xff HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(edge.last_word(no_text).await.status, 400);
}

#[tokio::test]
async fn a_header_is_taken_as_it_is_written() {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    for (more, status) in [
        ("x: y\r\n z\r\n", 400),
        ("x : y\r\n", 400),
        ("upgrade: websocket\r\n", 200),
        ("upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n", 200),
        ("x: \u{202e}é\r\n", 200),
    ] {
        let answer = edge
            .last_word(&head("GET /health/live HTTP/1.1", more))
            .await;
        assert_eq!(answer.status, status, "{more}: {answer:?}");
    }
}

#[tokio::test]
async fn who_asks_whether_to_go_on_is_told() {
    let app = App::new().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    let expecting = |length: usize, head: String| {
        format!("{head}expect: 100-continue\r\ncontent-length: {length}\r\n\r\n")
    };
    let mut caller = edge.call().await;
    caller.say(&expecting(2, run())).await;
    caller.is_told_to_go_on().await;
    assert_eq!(caller.ask("{}").await.status, 200);
    let too_long = expecting(2_000_000, run());
    assert_eq!(edge.last_word(too_long.as_bytes()).await.status, 413);
    let unknown = expecting(2, run().replace(OPERATOR_SECRET, "another"));
    assert_eq!(edge.last_word(unknown.as_bytes()).await.status, 401);
}
