//! Heads: how large, how slow, and how wrong.

use super::*;

/// A request whose head has that many bytes.
fn of_size(bytes: usize) -> String {
    let (before, after) = LIVE.split_at(LIVE.len() - 2);
    let padding = bytes - LIVE.len() - "x-padding: \r\n".len();
    format!("{before}x-padding: {}\r\n{after}", "a".repeat(padding))
}

fn of_fields(number: usize) -> String {
    let (before, after) = LIVE.split_at(LIVE.len() - 2);
    format!("{before}{}{after}", "x: y\r\n".repeat(number - 1))
}

#[rstest]
#[case::as_large_as_may_be(of_size(32 * 1024), 200)]
#[case::a_byte_larger(of_size(32 * 1024 + 1), 431)]
#[case::very_large(of_size(400_000), 431)]
#[case::of_100_fields(of_fields(100), 200)]
#[case::of_101_fields(of_fields(101), 431)]
#[tokio::test]
async fn a_head_may_have_32_kib_and_100_fields(#[case] head: String, #[case] status: u16) {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    let mut caller = edge.call().await;
    let answer = caller.ask(&head).await;
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.is_safe(), "{answer:?}");
    if status == 431 {
        assert_eq!(answer.code(), "large_head");
    }
}

#[rstest]
#[case::no_request(b"GARBAGE\r\n\r\n")]
#[case::another_version(b"GET / HTTP/3.0\r\n\r\n")]
#[case::http_2(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
#[case::tls(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")]
#[case::a_field_without_a_name(b"GET / HTTP/1.1\r\n: x\r\n\r\n")]
#[case::a_nul(b"GET / HTTP/1.1\r\nhost: a\0b\r\n\r\n")]
#[case::two_lengths(b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n")]
#[tokio::test]
async fn what_is_no_http_is_refused_as_all_else_is(#[case] said: &[u8]) {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    let answer = edge.last_word(said).await;
    assert_eq!((answer.status, &*answer.code()), (400, "not_http"));
}

#[rstest]
#[case::alone("", 0)]
#[case::behind_a_request(LIVE, 0)]
#[case::after_a_silence("", 300)]
#[tokio::test]
async fn a_head_that_is_not_finished_in_time_is_refused(#[case] before: &str, #[case] silent: u64) {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    let mut caller = edge.call().await;
    tokio::time::pause();
    sleep(Duration::from_secs(silent)).await;
    let said = tokio::time::Instant::now();
    caller.say(&format!("{before}GET /health")).await;
    if !before.is_empty() {
        assert_eq!(caller.answer().await.status, 200);
    }

    let answer = caller.answer().await;

    assert_eq!((answer.status, &*answer.code()), (408, "slow_head"));
    let took = said.elapsed().as_secs_f64();
    assert!((9.9..10.2).contains(&took), "{took}");
    assert!(caller.is_closed().await);
}

#[rstest]
#[case::nothing_said(0)]
#[case::a_moment(9)]
#[case::longer_than_a_head_may_take(11)]
#[case::as_long_as_proxies_wait(610)]
#[tokio::test]
async fn an_idle_connection_is_served_and_a_head_has_its_time_from_its_first_byte(
    #[case] seconds: u64,
) {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    let mut caller = edge.call().await;
    let (first, rest) = LIVE.split_at(9);
    hold_the_clock();
    for _ in 0..3 {
        pass(seconds).await;
        caller.say(first).await;
        pass(9).await;
        assert_eq!(caller.ask(rest).await.status, 200);
    }
}

#[tokio::test]
async fn a_connection_that_is_idle_for_too_long_is_closed_without_a_word() {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    for before in ["", LIVE] {
        let mut caller = edge.call().await;
        if !before.is_empty() {
            assert_eq!(caller.ask(before).await.status, 200);
        }
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        assert!(caller.is_closed().await);
        let took = began.elapsed().as_secs();
        assert!((619..=632).contains(&took), "{took}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn requests_that_come_together_are_answered_one_after_the_other() {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    let mut caller = edge.call().await;
    caller
        .say(&format!("{LIVE}{LIVE}{LIVE}GARBAGE\r\n\r\n"))
        .await;
    for status in [200, 200, 200, 400] {
        assert_eq!(caller.answer().await.status, status);
    }
    assert!(caller.is_closed().await);
}

#[tokio::test]
async fn what_a_caller_still_sends_does_not_take_the_last_answer_away() {
    let app = App::without_a_database().await;
    let edge = Edge::of(app.router.clone(), Limits::default()).await;
    let mut caller = edge.call().await;
    assert_eq!(caller.ask(&of_size(40_000)).await.status, 431);
    for _ in 0..3 {
        caller.say("more of it").await;
        sleep(Duration::from_millis(5)).await;
    }
    assert!(caller.is_closed().await);
}

#[tokio::test]
async fn what_follows_a_long_answer_is_refused_behind_it_or_not_at_all() {
    const LENGTH: usize = 32 * 1024 * 1024;
    let large = Router::new().route("/", axum::routing::get(async || vec![b'x'; LENGTH]));
    let edge = Edge::of(large, Limits::default()).await;
    let mut caller = edge.call().await;
    caller
        .say("GET / HTTP/1.1\r\nhost: localhost\r\n\r\nGARBAGE\r\n\r\n")
        .await;
    sleep(Duration::from_millis(100)).await;

    let mut answers = Vec::new();
    let _ = caller.0.read_to_end(&mut answers).await;

    let begins: Vec<usize> = answers
        .windows(5)
        .enumerate()
        .filter(|(_, word)| word == b"HTTP/")
        .map(|(at, _)| at)
        .collect();
    assert!(begins.len() <= 2, "{begins:?}");
    assert!(begins[1..].iter().all(|at| *at > LENGTH), "{begins:?}");
}
