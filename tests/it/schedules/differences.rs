//! What counts as a difference, what does not, and that no secret is shown.

use super::*;

const JOB: &str = "daily-churn-analysis";
const SECRET_OF_OTHERS: &str = "Bearer of-another-service-1b2c3d4e5f6a7b8c9d0e";

/// A schedule with these headers replaced, and what the plan says of it.
async fn compared(changes: &[(&str, &str)], body: &str) -> (Qstash, Value) {
    let qstash = Qstash::applied().await;
    qstash.drifted(CHURN, JOB, changes, body).await;
    let planned = qstash.planned(CHURN).await;
    (qstash, planned)
}

#[rstest]
#[case::spaces_of_the_cron(&[("upstash-cron", " CRON_TZ=Europe/Paris   0 2 *  * * ")], "{}")]
#[case::no_body(&[], "")]
#[case::spaces_of_the_body(&[], " { } ")]
#[case::time_in_other_units(&[("upstash-timeout", "1m")], "{}")]
#[tokio::test]
async fn what_means_the_same_is_no_difference(
    #[case] changes: &[(&str, &str)],
    #[case] body: &str,
) {
    let (qstash, planned) = compared(changes, body).await;
    assert_eq!(planned["action"], "unchanged", "{planned}");
    assert_eq!(qstash.run(&["plan", "--check"]).await.code, Some(0));
}

#[rstest]
#[case::cron(&[("upstash-cron", "0 2 * * *")], "{}", "cron", Some("0 2 * * *"), Some("CRON_TZ=Europe/Paris 0 2 * * *"))]
#[case::method(&[("upstash-method", "PUT")], "{}", "method", Some("PUT"), Some("POST"))]
#[case::body(&[], "{\"dry_run\":true}", "body", Some("{\"dry_run\":true}"), Some("{}"))]
#[case::no_json(&[], "dry", "body", Some("dry"), Some("{}"))]
#[case::body_for_a_terminal(&[], "\u{1b}[2J", "body", Some("\\u{1b}[2J"), Some("{}"))]
#[case::retries(&[("upstash-retries", "0")], "{}", "retries", Some("0"), Some("3"))]
#[case::timeout(&[("upstash-timeout", "30s")], "{}", "timeout", Some("30s"), Some("60s"))]
#[case::no_failure_callback(&[("upstash-failure-callback", "")], "{}", "failure callback", None, Some("https://cron.example.test/api/qstash/failures"))]
#[case::content_type(&[("content-type", "text/plain")], "{}", "Content-Type", Some("text/plain"), Some("application/json"))]
#[case::queue(&[("upstash-queue-name", "q")], "{}", "queueName", Some("q"), None)]
#[case::callback(&[("upstash-callback", "https://else.test/")], "{}", "callback", Some("https://else.test/"), None)]
#[case::flow_control(&[("upstash-flow-control-key", "k")], "{}", "flowControlKey", Some("k"), None)]
#[case::no_redaction(&[("upstash-redact-fields", "")], "{}", "Authorization is redacted", Some("no"), Some("yes"))]
#[case::no_secret(&[("upstash-forward-authorization", "")], "{}", "Authorization", None, Some("Bearer CRON_SECRET"))]
#[case::other_secret(&[("upstash-forward-authorization", SECRET_OF_OTHERS)], "{}", "Authorization", Some("another value"), Some("Bearer CRON_SECRET"))]
#[case::other_secret_of_the_callback(&[("upstash-failure-callback-forward-authorization", SECRET_OF_OTHERS)], "{}", "Authorization of the failure callback", Some("another value"), Some("Bearer CRON_SECRET"))]
#[case::header_of_others(&[("upstash-forward-x-token", SECRET_OF_OTHERS)], "{}", "header x-token", Some("set"), None)]
#[tokio::test]
async fn a_difference_is_named_by_its_field_and_removed_by_an_apply(
    #[case] changes: &[(&str, &str)],
    #[case] body: &str,
    #[case] field: &str,
    #[case] was: Option<&str>,
    #[case] will_be: Option<&str>,
) {
    let (qstash, planned) = compared(changes, body).await;

    assert_eq!(planned["action"], "update", "{planned}");
    let expected = json!([{ "field": field, "was": was, "will_be": will_be }]);
    assert_eq!(planned["differences"], expected);

    let applied = qstash.run(&["apply"]).await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert_eq!(qstash.planned(CHURN).await["action"], "unchanged");
}

#[tokio::test]
async fn no_secret_is_shown_in_any_form() {
    let clear = [
        ("upstash-redact-fields", ""),
        ("upstash-forward-authorization", SECRET_OF_OTHERS),
        ("upstash-forward-x-token", SECRET_OF_OTHERS),
    ];
    let (qstash, _) = compared(&clear, "{}").await;
    for arguments in [
        &["plan"][..],
        &["plan", "--json"],
        &["list"],
        &["list", "--json"],
        &["apply"],
        &["apply", "--json", "--rewrite"],
    ] {
        let done = qstash.run(arguments).await;
        let said = format!("{}{}", done.out, done.err);
        for secret in [SECRET_OF_OTHERS, CRON_SECRET, TOKEN, "of-another-service"] {
            assert!(!said.contains(secret), "{arguments:?}: {said}");
        }
    }
}

#[tokio::test]
async fn a_rotated_secret_is_seen_as_long_as_the_one_before_is_known() {
    let qstash = Qstash::applied().await;
    let mut settings = qstash.settings.clone();
    let new = "cron-new-77aa88bb99cc00dd11ee22ff33aa44bb";
    settings.insert("CRON_SECRET".to_owned(), new.to_owned());

    // Every hash is of another, unknown text.
    let alone = run(&settings, &["schedules", "plan", "--json"])
        .await
        .json();
    assert_eq!(alone["differs"], false, "{alone}");
    let unclear = &alone["schedules"][0]["unclear"][0];
    assert_eq!(unclear["field"], "Authorization");
    settings.insert("CRON_SECRET_PREVIOUS".to_owned(), CRON_SECRET.to_owned());
    let both = run(&settings, &["schedules", "plan", "--json"])
        .await
        .json();

    let difference = &both["schedules"][0]["differences"][0];
    assert_eq!(
        difference,
        &json!({ "field": "Authorization", "was": "Bearer CRON_SECRET_PREVIOUS", "will_be": "Bearer CRON_SECRET" })
    );
    let applied = run(&settings, &["schedules", "apply"]).await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let after = run(&settings, &["schedules", "plan", "--check"]).await;
    assert_eq!(after.code, Some(0), "{after:?}");
}

#[tokio::test]
async fn a_hash_of_we_know_not_what_is_no_difference_and_can_be_written_anew() {
    let qstash = Qstash::new().await;
    qstash.double.redact_with("salt");

    let first = qstash.run(&["apply"]).await;
    let from = qstash.double.calls().len();
    let second = qstash.run(&["apply"]).await;
    let plan = qstash.run(&["plan", "--check"]).await;

    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!((second.code, plan.code), (Some(0), Some(0)), "{plan:?}");
    assert_eq!(qstash.writes(from), Vec::<String>::new());
    assert!(
        plan.out
            .contains("Authorization: cannot be compared: it is redacted"),
        "{plan:?}"
    );
    let anew = qstash.run(&["apply", "--rewrite"]).await;
    assert_eq!(anew.code, Some(0), "{anew:?}");
    assert_eq!(qstash.writes(from).len(), 6);
    assert!(
        anew.out.contains("rewritten  jarvis-daily-churn"),
        "{anew:?}"
    );
}

#[tokio::test]
async fn the_order_of_a_body_s_fields_is_no_difference() {
    let qstash = Qstash::applied().await;
    let file = Written::new(&file(|file| {
        file["schedules"][0]["body"] = json!({ "batch_size": 50, "limit": 500 });
    }));
    let body = "{ \"limit\": 500, \"batch_size\": 50 }";
    qstash.drifted(ORDERS, crate::app::JOB, &[], body).await;
    let check = ["plan", "--check", "--file", file.path()];
    assert_eq!(qstash.run(&check).await.code, Some(0));
    let other = "{ \"limit\": 501, \"batch_size\": 50 }";
    qstash.drifted(ORDERS, crate::app::JOB, &[], other).await;
    assert_eq!(qstash.run(&check).await.code, Some(1));
}
