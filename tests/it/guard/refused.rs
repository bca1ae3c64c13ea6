//! Refused callers: one answer for all, and nothing touched for any.

use axum::http::Method;

use super::*;
use crate::foreign_text::found::Log;

/// What is wrong, and the request.
type Refused = (&'static str, Request<Body>);

fn refused(
    name: &'static str,
    path: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Refused {
    let request = headers
        .iter()
        .fold(Request::post(path), |request, (header, value)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.header(*header, value)
        });
    (name, request.body(Body::from(body)).unwrap())
}

/// A token that is right for the job's route and an empty body.
fn right_token() -> String {
    token(CURRENT_KEY, &format!("{PUBLIC_URL}{ROUTE}"))
}

fn missing_and_doubled_credentials() -> Vec<Refused> {
    let (cron, operator, signature) = (bearer(CRON_SECRET), bearer(OPERATOR_SECRET), right_token());
    let cron = ("authorization", &*cron);
    let operator = ("authorization", &*operator);
    let signature = ("upstash-signature", &*signature);
    vec![
        refused("nothing", ROUTE, &[], ""),
        refused("the cron secret alone", ROUTE, &[cron], ""),
        refused("a signature alone", ROUTE, &[signature], ""),
        refused("a secret twice", ROUTE, &[cron, cron, signature], ""),
        refused("two secrets", ROUTE, &[cron, operator, signature], ""),
        refused("an operator twice", ROUTE, &[operator, operator], ""),
        refused(
            "a signature twice",
            ROUTE,
            &[cron, signature, signature],
            "",
        ),
    ]
}

fn wrong_secrets() -> Vec<Refused> {
    let (right, signature) = (bearer(CRON_SECRET), right_token());
    let secrets = [
        ("a wrong secret", "Bearer 9b7c4d2f6a0e8b1c3d5f7a9b5f1d8a3e"),
        ("no secret", "Bearer "),
        ("no secret and no space", "Bearer"),
        ("an undefined secret", "Bearer undefined"),
        ("a secret of accents", "Bearer ééééééééééééééé"),
        ("a secret cut short", &right[..right.len() - 1]),
        ("a secret and more", &format!("{right}x")),
        ("two secrets in one", &format!("{right}, {right}")),
        ("a secret in capitals", &right.to_ascii_uppercase()),
        ("a secret without a scheme", CRON_SECRET),
        ("another scheme", &right.replace("Bearer", "Secret")),
    ];
    let wrong = |(name, secret): (&'static str, &str)| {
        let headers = [("authorization", secret), ("upstash-signature", &signature)];
        refused(name, ROUTE, &headers, "")
    };
    secrets.map(wrong).into()
}

fn wrong_tokens() -> Vec<Refused> {
    let cron = bearer(CRON_SECRET);
    let url = format!("{PUBLIC_URL}{ROUTE}");
    let long_ago = "2026-01-05T04:00:00Z".parse().unwrap();
    let expired = signature::sign(&CURRENT_KEY.into(), &url, b"", long_ago).unwrap();
    let of = |url: &str| token(CURRENT_KEY, url);
    let tokens = [
        ("no token", String::new()),
        ("a token that is none", "not.a.token".to_owned()),
        ("a token of accents", "é.é.é".to_owned()),
        ("a token of another key", token("sig_another_2Wd8sKq", &url)),
        ("an expired token", expired),
        ("another route", of(&format!("{PUBLIC_URL}/api/cron/other"))),
        ("a query", of(&format!("{url}?dry_run=true"))),
        ("a slash", of(&format!("{url}/"))),
        ("another scheme", of(&url.replace("https", "http"))),
        ("the host called", of(&format!("https://localhost{ROUTE}"))),
        ("another body", Delivery::of(JOB).body("{}").sign()),
    ];
    let wrong = |(name, token): (&'static str, String)| {
        let headers = [
            ("authorization", &*cron),
            ("upstash-signature", &token),
            ("host", "localhost"),
        ];
        refused(name, ROUTE, &headers, "")
    };
    tokens.map(wrong).into()
}

/// Right credentials, but for another request.
fn other_requests() -> Vec<Refused> {
    let (right, signature) = (bearer(CRON_SECRET), right_token());
    let both = [
        ("authorization", &*right),
        ("upstash-signature", &signature),
    ];
    vec![
        refused("a query", &format!("{ROUTE}?dry_run=true"), &both, ""),
        refused("an empty query", &format!("{ROUTE}?"), &both, ""),
        refused(
            "the path in other letters",
            &ROUTE.replace('-', "%2D"),
            &both,
            "",
        ),
        refused("an unknown job", "/api/cron/no-such-job", &both, ""),
        refused("a body", ROUTE, &both, "{}"),
        refused("a body of one space", ROUTE, &both, " "),
    ]
}

fn all_refused() -> Vec<Refused> {
    let mut all = missing_and_doubled_credentials();
    all.extend(wrong_secrets());
    all.extend(wrong_tokens());
    all.extend(other_requests());
    all
}

#[tokio::test]
async fn no_row_is_touched_before_the_guard_has_passed() {
    let app = App::new().await;
    app.stale_order().await;
    let before = app.checksums().await;

    for (name, request) in all_refused() {
        let reply = app.request(request).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{name}: {reply:?}");
    }

    assert_eq!(app.checksums().await, before);
    assert_eq!(app.count("select count(*) from job_runs").await, 0);
    assert_eq!(app.count("select count(*) from job_leases").await, 0);
}

#[tokio::test]
async fn every_refused_call_gets_one_and_the_same_answer() {
    let app = App::new().await;
    let mut answers = Vec::new();
    for (name, request) in all_refused() {
        let Reply {
            headers, mut body, ..
        } = app.request(request).await;
        assert_eq!(
            headers["x-request-id"],
            body["request_id"].as_str().unwrap(),
            "{name}"
        );
        assert_eq!(headers["www-authenticate"], "Bearer", "{name}");
        assert_eq!(headers["content-type"], "application/json", "{name}");
        body["request_id"] = "…".into();
        answers.push((name, headers.len(), body));
    }

    let (_, headers, first) = answers[0].clone();
    for (name, others, body) in &answers {
        assert_eq!((*others, body), (headers, &first), "{name}");
    }
    insta::assert_json_snapshot!(first, @r#"
    {
      "code": "unauthorized",
      "error": "Unauthorized",
      "request_id": "…",
      "success": false
    }
    "#);
}

#[rstest]
#[case::nothing(&[], "authorization is missing")]
#[case::another_kind(&["Basic YTpi"], "not of the kind \"Bearer\"")]
#[case::another_secret(&["Bearer of-another-service"], "the secret is unknown")]
#[case::twice(&["Bearer a", "Bearer b"], "authorization is given twice")]
#[case::no_signature(&[CRON_SECRET], "upstash-signature is missing")]
#[tokio::test]
async fn the_cause_of_a_refusal_is_in_the_log(#[case] secrets: &[&str], #[case] cause: &str) {
    let app = App::new().await;
    let log = Log::begin();
    let headers: Vec<_> = secrets
        .iter()
        .map(|secret| match *secret {
            CRON_SECRET => ("authorization", bearer(CRON_SECRET)),
            other => ("authorization", other.to_owned()),
        })
        .collect();

    let reply = app.call(Method::POST, ROUTE, &headers, "").await;

    assert_eq!(reply.status, 401, "{reply:?}");
    let texts = log.texts();
    assert!(texts.iter().any(|it| it == cause), "{texts:?}");
}
