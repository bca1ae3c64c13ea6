//! The double itself: it answers as QStash's documentation says.

use super::*;

const HOOK: &str = "https://else.test/hook";

async fn put(qstash: &Qstash, destination: &str, headers: &[(&str, &str)]) -> u16 {
    qstash.call(Method::POST, destination, headers, "").await
}

#[rstest]
#[case::a_slash("a/b", "0 5 * * *", HOOK)]
#[case::a_space("a b", "0 5 * * *", HOOK)]
#[case::seconds("a", "0 0 5 * * *", HOOK)]
#[case::no_cron("a", "", HOOK)]
#[case::words("a", "every day", HOOK)]
#[case::an_unknown_zone("a", "CRON_TZ=Mars/Olympus 0 5 * * *", HOOK)]
#[case::no_scheme("a", "0 5 * * *", "else.test/hook")]
#[tokio::test]
async fn what_qstash_would_refuse_is_refused(
    #[case] id: &str,
    #[case] cron: &str,
    #[case] destination: &str,
) {
    let qstash = Qstash::new().await;
    let headers = [("Upstash-Schedule-Id", id), ("Upstash-Cron", cron)];
    assert_eq!(put(&qstash, destination, &headers).await, 400);
    assert_eq!(qstash.double.schedule(id), None);
}

#[tokio::test]
async fn an_upsert_replaces_everything_and_the_cron_is_trimmed() {
    let qstash = Qstash::new().await;
    let first = [
        ("Upstash-Schedule-Id", "a.b_c-1"),
        ("Upstash-Cron", "*/10 * * * * "),
        ("Upstash-Forward-Test-Header", "v"),
        ("Upstash-Timeout", "30s"),
    ];
    assert_eq!(qstash.call(Method::POST, HOOK, &first, "body").await, 200);
    let made = qstash.double.schedule("a.b_c-1").unwrap();
    assert_eq!(made["cron"], "*/10 * * * *");
    assert_eq!(made["body"], "body");
    assert_eq!(made["header"]["Test-Header"], json!(["v"]));

    assert_eq!(put(&qstash, HOOK, &first[..2]).await, 200);

    let replaced = qstash.double.schedule("a.b_c-1").unwrap();
    assert_eq!(replaced["createdAt"], made["createdAt"]);
    assert_eq!(replaced["header"], json!({}));
    assert_eq!(
        (replaced.get("body"), replaced.get("timeout")),
        (None, None)
    );
}

#[rstest]
#[case::as_the_sdks_do(Method::PATCH)]
#[case::as_the_reference_says(Method::POST)]
#[tokio::test]
async fn a_pause_comes_in_either_way(#[case] method: Method) {
    let qstash = Qstash::new().await;
    qstash.made_by_hand("a", HOOK, "0 5 * * *").await;
    for (verb, is_paused) in [("pause", true), ("pause", true), ("resume", false)] {
        let status = qstash
            .call(method.clone(), &format!("a/{verb}"), &[], "")
            .await;
        assert_eq!((status, qstash.is_paused("a")), (200, is_paused));
    }
    assert_eq!(qstash.call(method, "b/pause", &[], "").await, 404);
}

#[tokio::test]
async fn a_value_is_redacted_where_it_was_asked_for_and_clear_elsewhere() {
    let qstash = Qstash::new().await;
    let headers = [
        ("Upstash-Schedule-Id", "a"),
        ("Upstash-Cron", "0 5 * * *"),
        ("Upstash-Forward-Authorization", "abc"),
        ("Upstash-Forward-X-My-Header", "abc"),
        ("Upstash-Redact-Fields", "header[Authorization]"),
    ];
    put(&qstash, HOOK, &headers).await;
    // The SHA-256 of "abc", as FIPS 180-4 has it.
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(
        qstash.double.schedule("a").unwrap()["header"],
        json!({ "Authorization": [format!("REDACTED:{hash}")], "X-My-Header": ["abc"] })
    );
}

#[tokio::test]
async fn without_an_id_each_call_makes_another_schedule() {
    let qstash = Qstash::new().await;
    let headers = [("Upstash-Cron", "0 5 * * *")];
    for _ in 0..2 {
        assert_eq!(put(&qstash, HOOK, &headers).await, 200);
    }
    let ids = qstash.actions().await;
    assert_eq!(
        ids.iter().filter(|(id, _)| id.starts_with("scd_")).count(),
        2
    );
}
