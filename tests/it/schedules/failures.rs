//! An apply that meets trouble: what is done, what is not, and what is said.

use jarvis_cron::demo::qstash_double::READ_ONLY_TOKEN;

use super::*;

const UPSERT: &str = "/v2/schedules/https://";

#[tokio::test]
async fn one_failure_does_not_keep_the_others_from_being_done() {
    let qstash = Qstash::new().await;
    qstash
        .double
        .fault("POST", "daily-churn", Fault::Status(500));

    let done = qstash.run(&["apply"]).await;

    assert_eq!(done.code, Some(1), "{done:?}");
    let line = "NOT DONE   jarvis-daily-churn, to create: QStash's answer is unclear: 500: scripted by the double\n";
    assert!(done.out.contains(line), "{done:?}");
    assert!(
        done.out.ends_with(
            "5 done, 0 left as they are, 1 not done; apply again when the cause is fixed\n"
        ),
        "{done:?}"
    );
    let again = qstash.run(&["apply"]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again
            .out
            .ends_with("1 done, 5 left as they are, 0 not done\n"),
        "{again:?}"
    );
}

#[rstest]
#[case::no_answer(Fault::DisconnectAfterEffect, 3)]
#[case::an_error(Fault::StatusAfterEffect(502), 1)]
#[tokio::test]
async fn what_was_done_though_the_answer_was_lost_counts_as_done(
    #[case] fault: Fault,
    #[case] times: usize,
) {
    let qstash = Qstash::new().await;
    for _ in 0..times {
        qstash.double.fault("POST", "daily-churn", fault.clone());
    }
    let done = qstash.run(&["apply", "--json"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let applied = done.json();
    let churn = applied
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == CHURN);
    assert_eq!(churn.unwrap()["outcome"], "done");
}

#[tokio::test]
async fn a_cut_connection_is_tried_again() {
    let qstash = Qstash::new().await;
    for _ in 0..2 {
        qstash
            .double
            .fault("POST", "daily-churn", Fault::Disconnect);
    }
    let done = qstash.run(&["apply"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[tokio::test]
async fn a_paused_schedule_is_paused_again_also_when_the_answer_was_lost() {
    let qstash = Qstash::applied().await;
    qstash.double.upsert_resumes(true);
    let other = [("upstash-retries", "1")];
    qstash
        .drifted(CHURN, "daily-churn-analysis", &other, "{}")
        .await;
    qstash.run(&["pause", "daily-churn-analysis"]).await;
    qstash
        .double
        .fault("POST", UPSERT, Fault::StatusAfterEffect(500));

    let done = qstash.run(&["apply"]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(qstash.is_paused(CHURN));
}

#[tokio::test]
async fn a_pause_that_was_lost_is_said_aloud() {
    for (status, why) in [
        (429, "QStash asks us to slow down: scripted by the double"),
        (
            500,
            "QStash's answer is unclear: 500: scripted by the double",
        ),
    ] {
        let qstash = Qstash::applied().await;
        qstash.double.upsert_resumes(true);
        let other = [("upstash-retries", "1")];
        qstash
            .drifted(CHURN, "daily-churn-analysis", &other, "{}")
            .await;
        qstash.run(&["pause", "daily-churn-analysis"]).await;
        qstash
            .double
            .fault("PATCH", "/pause", Fault::Status(status));

        let done = qstash.run(&["apply"]).await;

        assert_eq!(done.code, Some(1), "{done:?}");
        let line = format!(
            "NOT DONE   jarvis-daily-churn, to update: {why}; it was paused and is running now: pause it again\n"
        );
        assert!(done.out.contains(&line), "{done:?}");
    }
}

#[tokio::test]
async fn a_full_account_gets_a_hint() {
    let qstash = Qstash::new().await;
    qstash.double.allow_schedules(4);
    let done = qstash.run(&["apply"]).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.out.contains("QStash refused (412)"), "{done:?}");
    assert!(
        done.out.contains("4 done, 0 left as they are, 2 not done"),
        "{done:?}"
    );
    assert_eq!(
        done.out
            .matches("the account's plan allows no more schedules")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_token_that_may_only_read_gets_a_hint() {
    let qstash = Qstash::new().await;
    let done = qstash
        .run_with("QSTASH_TOKEN", READ_ONLY_TOKEN, &["apply"])
        .await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.out.contains("0 done, 0 left as they are, 6 not done"),
        "{done:?}"
    );
    assert!(
        done.out.contains("set QSTASH_TOKEN to one that may write"),
        "{done:?}"
    );
    assert_eq!(qstash.double.schedule(CHURN), None);
}

#[tokio::test]
async fn a_token_that_may_only_read_cannot_rewrite_what_is_unchanged() {
    let qstash = Qstash::applied().await;
    let rewrite = ["apply", "--rewrite"];
    let done = qstash
        .run_with("QSTASH_TOKEN", READ_ONLY_TOKEN, &rewrite)
        .await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.out.contains("0 done, 0 left as they are, 6 not done"),
        "{done:?}"
    );
}

#[tokio::test]
async fn without_a_list_at_first_nothing_is_done() {
    let qstash = Qstash::new().await;
    qstash
        .double
        .fault("GET", "/v2/schedules", Fault::Status(500));
    let done = qstash.run(&["apply"]).await;
    assert_eq!((done.code, &*done.out), (Some(1), ""), "{done:?}");
    assert!(done.err.contains("nothing was changed"), "{done:?}");
    assert_eq!(qstash.writes(0), Vec::<String>::new());
}

#[tokio::test]
async fn what_cannot_be_listed_afterwards_is_not_called_done() {
    let qstash = Qstash::new().await;
    // One list before, six looks at one schedule each, and the list after.
    let list = "/v2/schedules";
    for _ in 0..7 {
        qstash
            .double
            .fault("GET", list, Fault::Hang(std::time::Duration::ZERO));
    }
    qstash.double.fault("GET", list, Fault::Status(500));

    let done = qstash.run(&["apply"]).await;

    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.out.contains("it was sent, but could not be checked"),
        "{done:?}"
    );
}

#[tokio::test]
async fn a_qstash_that_is_away_is_said_so_without_the_token() {
    let qstash = Qstash::new().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{closed}");
    let done = qstash.run_with("QSTASH_URL", &url, &["plan"]).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.err
            .starts_with("jarvis-cron: QStash cannot be reached"),
        "{done:?}"
    );
    assert!(!done.err.contains(TOKEN), "{done:?}");
}

#[tokio::test]
async fn no_secret_that_qstash_repeats_is_shown_and_no_control_character() {
    let router = axum::Router::new().fallback(
        async |uri: axum::http::Uri, headers: axum::http::HeaderMap| {
            let text = |name: &str| match headers.get(name) {
                Some(value) => value.to_str().unwrap().to_owned(),
                None => String::new(),
            };
            let forwarded = text("upstash-forward-authorization");
            if forwarded.is_empty() {
                return match uri.path() {
                    "/v2/schedules" => (axum::http::StatusCode::OK, "[]".to_owned()),
                    _ => (axum::http::StatusCode::NOT_FOUND, "{}".to_owned()),
                };
            }
            let error = format!("\u{1b}[31minvalid {forwarded}; token {TOKEN}");
            let body = json!({ "error": error }).to_string();
            (axum::http::StatusCode::BAD_REQUEST, body)
        },
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let qstash = Qstash::new().await;

    for arguments in [&["apply"][..], &["apply", "--json"]] {
        let done = qstash.run_with("QSTASH_URL", &url, arguments).await;

        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(
            done.out.contains("invalid Bearer [secret]; token [secret]"),
            "{done:?}"
        );
        for hidden in [CRON_SECRET, TOKEN, "\u{1b}", "u001b"] {
            assert!(!done.out.contains(hidden), "{done:?}");
            assert!(!done.err.contains(hidden), "{done:?}");
        }
    }
}
