//! `trigger` against a server that answers from a script.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jarvis_cron::qstash::retry;

use super::*;

/// A status and a header.
type Answer = (u16, &'static str, &'static str);

/// A server that gives these answers in turn, the last one for ever, and
/// remembers the headers it was called with.
struct Scripted {
    url: String,
    calls: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Scripted {
    async fn start(answers: &'static [Answer]) -> Self {
        let calls: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
        let seen = Arc::clone(&calls);
        let router = Router::new().fallback(async move |headers: HeaderMap| {
            let mut seen = seen.lock().unwrap();
            let (status, name, value) = answers[seen.len().min(answers.len() - 1)];
            seen.push(headers);
            let header = [(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )];
            let body = json!({ "call": seen.len() }).to_string();
            (StatusCode::from_u16(status).unwrap(), header, body)
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, calls }
    }

    /// One header of every call.
    fn header(&self, name: &str) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        let header = |call: &HeaderMap| call[name].to_str().unwrap().to_owned();
        calls.iter().map(header).collect()
    }
}

fn settings() -> Settings {
    with(
        &Settings::new(),
        &[
            ("CRON_SECRET", CRON_SECRET),
            ("QSTASH_CURRENT_SIGNING_KEY", CURRENT_KEY),
            ("QSTASH_NEXT_SIGNING_KEY", NEXT_KEY),
        ],
    )
}

async fn trigger(service: &Scripted, more: &[&str]) -> Done {
    run(&settings(), &[&arguments(service), more].concat()).await
}

fn arguments(service: &Scripted) -> [&str; 6] {
    [
        "trigger",
        JOB,
        "--url",
        &service.url,
        "--message-id",
        "msg_1",
    ]
}

const NOTHING: (&str, &str) = ("x-nothing", "");

#[tokio::test]
async fn a_failed_delivery_is_retried_as_one_message_with_fresh_tokens() {
    let service = Scripted::start(&[
        (500, NOTHING.0, NOTHING.1),
        (302, NOTHING.0, NOTHING.1),
        (200, NOTHING.0, NOTHING.1),
    ])
    .await;

    let done = trigger(&service, &["--retry-delay", "10ms"]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.json(), json!({ "call": 3 }));
    assert_eq!(
        done.err,
        "attempt 1 of 4: 500 msg_1; again in 10ms\n\
         attempt 2 of 4: 302 msg_1; again in 10ms\n\
         attempt 3 of 4: 200 msg_1\n"
    );
    assert_eq!(service.header("upstash-message-id"), ["msg_1"; 3]);
    assert_eq!(service.header("upstash-retried"), ["0", "1", "2"]);
    let mut tokens = service.header("upstash-signature");
    tokens.dedup();
    assert_eq!(tokens.len(), 3);
}

#[tokio::test]
async fn it_gives_up_after_the_last_retry() {
    let service = Scripted::start(&[(503, "retry-after", "30")]).await;
    let done = trigger(&service, &["--retries", "1", "--retry-delay", "1ms"]).await;
    assert_eq!((done.code, done.json()), (Some(1), json!({ "call": 2 })));
    let said = "attempt 2 of 2: 503 msg_1; gave up\n";
    assert!(done.err.ends_with(said), "{done:?}");
}

#[tokio::test]
async fn an_answer_that_forbids_retries_ends_it() {
    let service = Scripted::start(&[(489, "upstash-nonretryable-error", "true")]).await;
    let done = trigger(&service, &[]).await;
    assert_eq!((done.code, done.json()), (Some(1), json!({ "call": 1 })));
    let said = "attempt 1 of 4: 489 msg_1; no retry can succeed\n";
    assert_eq!(done.err, said);
}

#[tokio::test]
async fn an_answer_may_ask_for_its_own_wait() {
    let service = Scripted::start(&[
        (429, "retry-after", "0"),
        (429, "x-ratelimit-reset", "20ms"),
        (503, "retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
        (204, NOTHING.0, NOTHING.1),
    ])
    .await;
    let done = trigger(&service, &[]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let waits: Vec<&str> = done
        .err
        .lines()
        .filter_map(|line| Some(line.split_once("again in ")?.1))
        .collect();
    assert_eq!(waits, ["0s", "20ms", "0s"]);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_retried_too_and_exits_1() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let arguments = [
        "trigger",
        JOB,
        "--url",
        &url,
        "--retries",
        "2",
        "--retry-delay",
        "1ms",
    ];
    let done = run(&settings(), &arguments).await;
    assert_eq!((done.code, &*done.out), (Some(1), ""), "{done:?}");
    assert_eq!(done.err.matches("no answer").count(), 3, "{done:?}");
}

#[tokio::test]
async fn stopped_it_ends_and_says_how_to_continue() {
    let service = Scripted::start(&[(500, NOTHING.0, NOTHING.1)]).await;
    let child = command(&settings(), &arguments(&service))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while service.calls.lock().unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let id = child.id().unwrap().to_string();
    Command::new("kill")
        .args(["-INT", &id])
        .status()
        .await
        .unwrap();

    let done = child.wait_with_output().await.unwrap();

    assert_eq!(done.status.code(), Some(1));
    assert_eq!(String::from_utf8(done.stdout).unwrap(), "");
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("--message-id msg_1"), "{said}");
}

#[rstest]
#[case::two_lines("http://127.0.0.1:9", "a\nb")]
#[case::a_password("http://user:pw@127.0.0.1:9", "msg_1")]
#[case::a_query("http://127.0.0.1:9/?a=b", "msg_1")]
#[tokio::test]
async fn what_can_never_be_sent_is_not_tried(#[case] url: &str, #[case] message_id: &str) {
    let arguments = ["trigger", JOB, "--url", url, "--message-id", message_id];
    let done = run(&settings(), &arguments).await;
    assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
    assert!(!done.err.contains("pw"), "{done:?}");
}

#[test]
fn the_waits_grow_as_qstash_s_do() {
    let waits: Vec<u64> = (1..=6)
        .map(|retry| retry::backoff(retry).as_secs())
        .collect();
    assert_eq!(waits, [12, 148, 1_808, 22_026, 86_400, 86_400]);
    assert_eq!(retry::backoff(u32::MAX).as_secs(), 86_400);
}

#[rstest]
#[case::seconds("retry-after", "30", Some(30_000))]
#[case::at_once("retry-after", "0", Some(0))]
#[case::a_day("retry-after", "86400", Some(86_400_000))]
#[case::beyond_a_day("retry-after", "86401", None)]
#[case::a_date("retry-after", "Mon, 23 Nov 2026 12:00:30 GMT", Some(30_000))]
#[case::a_date_gone_by("retry-after", "Mon, 23 Nov 2026 11:00:00 GMT", Some(0))]
#[case::a_duration_of_go("x-ratelimit-reset-tokens", "6m5s", Some(365_000))]
#[case::with_a_fraction("x-ratelimit-reset-requests", "1.5h", Some(5_400_000))]
#[case::milliseconds("x-ratelimit-reset", "300ms", Some(300))]
#[case::microseconds("x-ratelimit-reset", "1500us", Some(1))]
#[case::negative("retry-after", "-5", None)]
#[case::negative_of_go("retry-after", "-5s", None)]
#[case::no_number("retry-after", "NaN", None)]
#[case::for_ever("retry-after", "inf", None)]
#[case::words("retry-after", "soon", None)]
#[case::no_unit("retry-after", "5m7", None)]
#[case::two_points("retry-after", "1.2.3s", None)]
#[case::empty("retry-after", "", None)]
#[case::another_header("x-retry-after", "30", None)]
fn what_an_answer_asks_for_is_read(
    #[case] name: &'static str,
    #[case] value: &'static str,
    #[case] expected: Option<u128>,
) {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_static(value));
    let now = "2026-11-23T12:00:00Z".parse().unwrap();
    let requested = retry::requested(&headers, now);
    assert_eq!(requested.map(|wait| wait.as_millis()), expected);
}
