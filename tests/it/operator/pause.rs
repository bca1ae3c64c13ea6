//! Pausing and resuming: what it does, who may, and what is written of it.

use axum::http::HeaderMap;

use super::*;

const PAUSE: &str = "/api/jobs/expire-stale-orders/pause";
const JSON: &str = "application/json";

type Headers<'h> = Vec<(&'h str, String)>;

/// An operator with curl.
fn curl() -> Headers<'static> {
    vec![
        ("authorization", format!("Bearer {OPERATOR_SECRET}")),
        ("content-type", JSON.to_owned()),
        ("x-actor", "ada@gym.test".to_owned()),
    ]
}

/// An operator's browser, which sends the password along by itself.
fn browser(more: &[(&'static str, &str)]) -> Headers<'static> {
    let mut headers = vec![
        ("authorization", basic("ada", OPERATOR_SECRET)),
        ("content-type", JSON.to_owned()),
        ("host", "internal:8080".to_owned()),
    ];
    headers.extend(
        more.iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    headers
}

async fn pause(app: &App, body: &str) -> Reply {
    app.call(Method::POST, PAUSE, &curl(), body.to_owned())
        .await
}

async fn resume(app: &App) -> Reply {
    app.call(Method::DELETE, PAUSE, &curl(), "").await
}

async fn events(app: &App) -> Value {
    app.rows(
        "select event_type, entity_type, entity_id, actor, payload ->> 'reason' as reason
           from audit_events
          order by occurred_at, event_type",
    )
    .await
}

async fn is_untouched(app: &App) -> bool {
    let sql = "(select count(*) from job_pauses) + (select count(*) from audit_events)";
    app.count(sql).await == 0
}

#[tokio::test]
async fn a_paused_job_does_not_run_until_it_is_resumed() {
    let app = App::new().await;
    let reply = pause(&app, r#"{"reason": " stocktaking "}"#).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.body["job"], JOB);
    assert_eq!(reply.body["pause"]["reason"], "stocktaking");
    assert_eq!(reply.body["pause"]["paused_by"], "ada@gym.test");
    assert_eq!(reply.body["pause"]["until"], Value::Null);
    assert_eq!(reply.body["pause"], standing(&app).await["pause"]);

    assert_eq!(app.deliver(JOB).await.outcome(), (200, "skipped"));
    assert_eq!(app.operate(JOB, "").await.outcome(), (423, "skipped"));
    assert_eq!(
        app.operate(JOB, "dry_run=true").await.outcome(),
        (423, "skipped")
    );
    let other = app.deliver("cleanup-old-data").await;
    assert_eq!(other.outcome(), (200, "succeeded"));

    let reply = resume(&app).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.body["pause"], Value::Null);
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
    let event = |kind: &str| {
        json!({
            "event_type": kind, "entity_type": "job", "entity_id": JOB,
            "actor": "ada@gym.test", "reason": "stocktaking",
        })
    };
    assert_eq!(
        events(&app).await,
        json!([event("local.job.paused"), event("local.job.resumed")])
    );
}

#[tokio::test]
async fn a_second_pause_replaces_the_first() {
    let app = App::new().await;
    pause(&app, r#"{"reason": "stocktaking"}"#).await;
    let until = crate::app::now() + chrono::TimeDelta::hours(2);
    let body = json!({ "until": until.to_rfc3339() });
    let reply = pause(&app, &body.to_string()).await;
    assert_eq!(reply.body["pause"]["reason"], Value::Null);
    let until_answered = reply.body["pause"]["until"].as_str().unwrap();
    let until_answered: chrono::DateTime<chrono::Utc> = until_answered.parse().unwrap();
    assert_eq!(until_answered.timestamp(), until.timestamp());
    assert_eq!(events(&app).await.as_array().unwrap().len(), 2);
    assert_eq!(app.count("select count(*) from job_pauses").await, 1);
}

#[tokio::test]
async fn a_pause_without_options_lasts_until_an_operator_resumes() {
    let app = App::new().await;
    let reply = app.call(Method::POST, PAUSE, &curl()[..1], "").await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.body["pause"]["paused_by"], Value::Null);
    assert_eq!(events(&app).await[0]["actor"], "operator");
}

#[tokio::test]
async fn resuming_what_is_not_paused_changes_nothing() {
    let app = App::new().await;
    assert_eq!(resume(&app).await.status, StatusCode::OK);
    assert!(is_untouched(&app).await);
    pause(&app, "{}").await;
    let every = (0..8).map(|_| resume(&app));
    for reply in futures::future::join_all(every).await {
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.body["pause"], Value::Null);
    }
    let resumed = "select count(*) from audit_events where event_type = 'local.job.resumed'";
    assert_eq!(app.count(resumed).await, 1);
}

#[tokio::test]
async fn after_a_pause_the_scheduler_has_its_whole_time_again() {
    let app = App::new().await;
    app.execute("update _sqlx_migrations set installed_on = now() - interval '40 days'")
        .await;
    assert_eq!(standing(&app).await["overdue"], true);
    pause(&app, "{}").await;
    assert_eq!(standing(&app).await["overdue"], false);
    assert_eq!(resume(&app).await.body["overdue"], false);
    app.execute("update job_pauses set until = now() - interval '1 hour'")
        .await;
    assert_eq!(standing(&app).await["overdue"], true);
}

#[rstest]
#[case::past(r#"{"until": "2020-01-01T00:00:00Z"}"#, 422, "until must lie ahead")]
#[case::absurd(r#"{"until": "9999-01-01T00:00:00Z"}"#, 422, "until must lie ahead")]
#[case::without_zone(r#"{"until": "2999-01-01T00:00:00"}"#, 422, "with its zone")]
#[case::a_day(r#"{"until": "2999-01-01"}"#, 422, "with its zone")]
#[case::a_word(r#"{"until": "tomorrow"}"#, 422, "with its zone")]
#[case::for_ever(r#"{"until": "infinity"}"#, 422, "with its zone")]
#[case::a_number(r#"{"until": 1795435468}"#, 422, "expected a string")]
#[case::another_type(r#"{"reason": ["a"]}"#, 422, "expected a string")]
#[case::unknown(r#"{"resaon": "a"}"#, 422, "resaon")]
#[case::twice(r#"{"reason": "a", "reason": "b"}"#, 422, "duplicate")]
#[case::no_text("{\"reason\": \"a\\u0000b\"}", 422, "reason")]
#[case::not_json("{", 400, "EOF")]
#[case::a_list(r#"["a", null]"#, 400, "object")]
#[tokio::test]
async fn a_pause_that_cannot_be_meant_is_refused(
    #[case] body: &str,
    #[case] status: u16,
    #[case] says: &str,
) {
    let app = App::new().await;
    let reply = pause(&app, body).await;
    assert_eq!(reply.status, status, "{reply:?}");
    let message = reply.body["message"].as_str().unwrap();
    assert!(message.contains(says), "{message}");
    assert!(is_untouched(&app).await);
}

#[tokio::test]
async fn a_reason_of_three_hundred_characters_is_enough() {
    let app = App::new().await;
    let body = |length| json!({ "reason": "é".repeat(length) }).to_string();
    assert_eq!(pause(&app, &body(300)).await.status, 200);
    assert_eq!(pause(&app, &body(301)).await.status, 422);
}

#[tokio::test]
async fn a_job_that_is_not_there_is_not_paused() {
    let app = App::new().await;
    for method in [Method::POST, Method::DELETE] {
        for job in ["mow-the-lawn", "%FF"] {
            let path = format!("/api/jobs/{job}/pause");
            let reply = app.call(method.clone(), &path, &curl(), "{}").await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND);
            assert_eq!(reply.body["code"], "unknown_job");
        }
    }
    assert!(is_untouched(&app).await);
}

#[rstest]
#[case::no_credential(None)]
#[case::the_scheduler(Some(format!("Bearer {CRON_SECRET}")))]
#[case::a_guess(Some(basic("ada", "guess")))]
#[tokio::test]
async fn only_an_operator_pauses(#[case] credential: Option<String>) {
    let app = App::new().await;
    let headers: Headers<'_> = credential
        .into_iter()
        .map(|value| ("authorization", value))
        .collect();
    for method in [Method::POST, Method::DELETE] {
        let reply = app.call(method, PAUSE, &headers, "{}").await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert_eq!(reply.body["message"], Value::Null);
    }
    assert!(is_untouched(&app).await);
}

/// What a form of another site can send, and what it looks like then.
#[rstest]
#[case::cross_site(&[("sec-fetch-site", "cross-site")], 403)]
#[case::a_sibling(&[("sec-fetch-site", "same-site")], 403)]
#[case::said_so_despite_its_origin(
    &[("sec-fetch-site", "cross-site"), ("origin", "https://cron.example.test")],
    403
)]
#[case::another_origin(&[("origin", "https://evil.example")], 403)]
#[case::another_port(&[("origin", "https://cron.example.test:444")], 403)]
#[case::in_clear(&[("origin", "http://cron.example.test")], 403)]
#[case::a_sandbox(&[("origin", "null")], 403)]
#[case::no_origin(&[("origin", "")], 403)]
#[case::our_own_page(&[("sec-fetch-site", "same-origin"), ("origin", "https://cron.example.test")], 200)]
#[case::our_own_page_unsaid(&[("origin", "https://cron.example.test")], 200)]
#[case::as_the_browser_calls_us(&[("origin", "http://internal:8080")], 200)]
#[case::no_browser(&[], 200)]
#[tokio::test]
async fn a_page_of_another_site_pauses_nothing(
    #[case] headers: &[(&'static str, &str)],
    #[case] status: u16,
) {
    let app = App::new().await;
    for method in [Method::POST, Method::DELETE] {
        let reply = app.call(method, PAUSE, &browser(headers), "{}").await;
        assert_eq!(reply.status, status, "{reply:?}");
        if status == 403 {
            assert_eq!(reply.body["code"], "cross_site");
        }
    }
    assert_eq!(is_untouched(&app).await, status == 403);
}

#[rstest]
#[case::form("application/x-www-form-urlencoded", "reason=x")]
#[case::multipart("multipart/form-data; boundary=x", "--x--")]
#[case::json_in_a_text_form("text/plain", r#"{"reason": "x"}"#)]
#[tokio::test]
async fn a_form_pauses_nothing(#[case] kind: &str, #[case] body: &str) {
    let app = App::new().await;
    let mut headers = browser(&[]);
    headers[1].1 = kind.to_owned();
    let reply = app
        .call(Method::POST, PAUSE, &headers, body.to_owned())
        .await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(is_untouched(&app).await);
}

#[tokio::test]
async fn a_browsers_user_is_the_actor() {
    let app = App::new().await;
    let reply = app.call(Method::POST, PAUSE, &browser(&[]), "{}").await;
    assert_eq!(reply.body["pause"]["paused_by"], "ada");
    let mut hostile = browser(&[]);
    hostile[0].1 = basic("a\0d\na", OPERATOR_SECRET);
    let reply = app.call(Method::POST, PAUSE, &hostile, "{}").await;
    assert_eq!(reply.body["pause"]["paused_by"], "ad a");
}

#[tokio::test]
async fn what_cannot_be_told_to_the_audit_trail_is_not_done() {
    let app = App::new().await;
    app.execute("alter table audit_events rename to audit_away")
        .await;
    let reply = pause(&app, "{}").await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(app.count("select count(*) from job_pauses").await, 0);
}

#[tokio::test]
async fn while_the_database_is_away_nothing_is_promised() {
    let app = App::without_a_database().await;
    let reply = pause(&app, "{}").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    let retry_after = |headers: &HeaderMap| headers.contains_key("retry-after");
    assert!(retry_after(&reply.headers));
}
