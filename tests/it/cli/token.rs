//! `sign` and `verify`.

use super::*;

const URL: &str = "https://cron.example.test/api/cron/expire-stale-orders";

/// What both commands need.
fn keys() -> Settings {
    with(
        &Settings::new(),
        &[
            ("QSTASH_CURRENT_SIGNING_KEY", CURRENT_KEY),
            ("QSTASH_NEXT_SIGNING_KEY", NEXT_KEY),
        ],
    )
}

/// A token for that body, read from standard input.
async fn sign(settings: &Settings, body: &str) -> String {
    let done = run_with(settings, &["sign", "--url", URL, "--body-file", "-"], body).await;
    assert_eq!((done.code, &*done.err), (Some(0), ""), "{done:?}");
    done.out.trim_end().to_owned()
}

/// What is said about it.
async fn verify(
    settings: &Settings,
    token: &str,
    body: &str,
    more: &[&str],
) -> (Option<i32>, String) {
    let mut arguments = vec![
        "verify",
        "--url",
        URL,
        "--body-file",
        "-",
        "--signature",
        token,
    ];
    arguments.extend(more);
    let done = run_with(settings, &arguments, body).await;
    (done.code, done.out)
}

fn accepted() -> (Option<i32>, String) {
    (Some(0), "accepted\n".to_owned())
}

fn rejected(reason: &str) -> (Option<i32>, String) {
    (Some(1), format!("rejected: {reason}\n"))
}

#[tokio::test]
async fn what_is_signed_is_accepted_and_a_changed_body_is_not() {
    let keys = keys();
    let token = sign(&keys, r#"{"limit":5}"#).await;
    assert_eq!(
        verify(&keys, &token, r#"{"limit":5}"#, &[]).await,
        accepted()
    );
    assert_eq!(
        verify(&keys, &token, r#"{"limit":50}"#, &[]).await,
        rejected("body mismatch: the body is not the one that was signed")
    );
    assert_eq!(
        verify(&keys, "not-a-token", "", &[]).await,
        rejected("malformed: not a JWT with the claims QStash sets")
    );
}

#[tokio::test]
async fn a_body_may_come_from_a_file_and_none_is_an_empty_one() {
    let keys = keys();
    let empty = run(&keys, &["sign", "--url", URL]).await;
    assert_eq!(
        verify(&keys, empty.out.trim_end(), "", &[]).await,
        accepted()
    );

    let file = std::env::temp_dir().join(format!("{}.json", uuid::Uuid::new_v4()));
    std::fs::write(&file, "{}\n").unwrap();
    let from_file = ["sign", "--url", URL, "--body-file", file.to_str().unwrap()];
    let token = run(&keys, &from_file).await.out;
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        verify(&keys, token.trim_end(), "{}\n", &[]).await,
        accepted()
    );
    let missing = run(&keys, &from_file).await;
    assert_eq!((missing.code, &*missing.out), (Some(1), ""), "{missing:?}");
    assert!(missing.err.contains(file.to_str().unwrap()), "{missing:?}");
}

#[tokio::test]
async fn a_token_of_the_next_key_is_accepted_with_a_hint() {
    let rolled = with(&keys(), &[("QSTASH_CURRENT_SIGNING_KEY", NEXT_KEY)]);
    let token = sign(&rolled, "").await;
    let done = run(&keys(), &["verify", "--url", URL, "--signature", &token]).await;
    assert_eq!((done.code, &*done.out), (Some(0), "accepted\n"));
    assert!(done.err.contains("next key"), "{done:?}");
}

#[tokio::test]
async fn a_region_has_keys_of_its_own() {
    let us = with(
        &keys(),
        &[("QSTASH_CURRENT_SIGNING_KEY", "sig_us_current_4Rk8wPz")],
    );
    let token = sign(&us, "").await;
    let regions = with(
        &keys(),
        &[
            ("QSTASH_REGION", "EU_CENTRAL_1"),
            (
                "US_EAST_1_QSTASH_CURRENT_SIGNING_KEY",
                "sig_us_current_4Rk8wPz",
            ),
            ("US_EAST_1_QSTASH_NEXT_SIGNING_KEY", "sig_us_next_9TmB3xQ"),
        ],
    );
    assert_eq!(
        verify(&regions, &token, "", &["--region", "US-EAST-1"]).await,
        accepted()
    );
    assert_eq!(
        verify(&regions, &token, "", &[]).await,
        rejected("bad signature: made with neither the current nor the next signing key")
    );
}

#[tokio::test]
async fn without_keys_nothing_is_signed_and_the_variable_is_named() {
    for arguments in [
        &["sign", "--url", URL] as &[&str],
        &["verify", "--url", URL, "--signature", "x"],
    ] {
        let done = run(&Settings::new(), arguments).await;
        assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
        assert!(
            done.err
                .starts_with("jarvis-cron: QSTASH_CURRENT_SIGNING_KEY "),
            "{done:?}"
        );
    }
}
