//! Who may read a report: operators, and who holds a link to it.

use std::process::Command;

use axum::http::Method;
use chrono::Duration;
use jarvis_cron::config::Settings;
use jarvis_cron::reports::links::to_report;
use rstest::rstest;

use super::{JOB, MONDAY};
use crate::app::{App, CRON_SECRET, OPERATOR_SECRET, PUBLIC_URL, Reply, now};

const PATH: &str = "/reports/lyon/2025-W05";

async fn with_a_report() -> App {
    let app = App::new().await;
    app.gym_called("lyon", "Europe/Paris").await;
    app.gym_called("lille", "Europe/Paris").await;
    app.operate(JOB, MONDAY).await;
    app
}

/// The path and query of a link to Lyon's report, good for so long.
fn link(app: &App, lasts: Duration) -> String {
    let links = Settings::none()
        .with(app.settings.clone())
        .links()
        .unwrap()
        .unwrap();
    let week = "2025-W05".parse().unwrap();
    let link = to_report(&links, "lyon", week, now() + lasts).unwrap();
    link.as_str().strip_prefix(PUBLIC_URL).unwrap().to_owned()
}

async fn get(app: &App, path: &str) -> Reply {
    app.call(Method::GET, path, &[], "").await
}

#[tokio::test]
async fn a_link_opens_its_report_in_every_form_and_language() {
    let app = with_a_report().await;
    let link = link(&app, Duration::minutes(5));
    let (path, query) = link.split_once('?').unwrap();

    for form in [
        format!("{path}?{query}"),
        format!("{path}.json?{query}"),
        format!("{path}.csv?{query}"),
        format!("{path}?lang=en&{query}"),
        format!("{path}?{query}&utm_source=mail"),
    ] {
        let reply = get(&app, &form).await;
        assert_eq!(reply.status, 200, "{form}: {reply:?}");
    }
    let page = get(&app, &link).await.text;
    assert!(
        page.contains(&query.replace('&', "&amp;")),
        "the page's links carry the link on: {page}"
    );
}

#[rstest]
#[case::of_another_gym(|link: String| link.replace("lyon", "lille"))]
#[case::of_another_week(|link: String| link.replace("W05", "W04"))]
#[case::made_to_last(|link: String| link.replace("expires=", "expires=9"))]
#[case::with_a_plus(|link: String| link.replace("expires=", "expires=%2B"))]
#[case::without_a_signature(|link: String| link.split("&signature").next().unwrap().to_owned())]
#[case::without_an_expiry(|link: String| format!("{PATH}?{}", link.split('&').nth(1).unwrap()))]
#[case::twice(|link: String| format!("{link}&{}", link.split('&').nth(1).unwrap()))]
#[case::cut(|link: String| link[..link.len() - 1].to_owned())]
#[case::empty(|_| format!("{PATH}?expires=&signature="))]
#[tokio::test]
async fn a_changed_link_is_forbidden(#[case] change: fn(String) -> String) {
    let app = with_a_report().await;

    let reply = get(&app, &change(link(&app, Duration::minutes(5)))).await;

    assert_eq!(reply.status, 403, "{reply:?}");
    assert_eq!(reply.body["code"], "bad_link");
    assert!(!reply.text.contains("Gym"), "{reply:?}");
}

#[tokio::test]
async fn any_changed_character_of_the_signature_is_forbidden() {
    let app = with_a_report().await;
    let link = link(&app, Duration::minutes(5));
    let begin = link.find("signature=").unwrap() + "signature=".len();

    for place in begin..link.len() {
        let other = if link.as_bytes()[place] == b'A' {
            "B"
        } else {
            "A"
        };
        let mut changed = link.clone();
        changed.replace_range(place..=place, other);
        assert_eq!(get(&app, &changed).await.status, 403, "{changed}");
    }
}

#[tokio::test]
async fn an_expired_link_is_forbidden_also_to_an_operator() {
    let app = with_a_report().await;
    let link = link(&app, -Duration::seconds(1));
    let operator = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];

    assert_eq!(get(&app, &link).await.status, 403);
    assert_eq!(
        app.call(Method::GET, &link, &operator, "").await.status,
        403
    );
}

const LINK_SECRET: &str = "link-5c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f";
const NEW_LINK_SECRET: &str = "link-9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b";
const NEW_OPERATOR_SECRET: &str = "oper-1b9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d";

/// The same service, deployed with other settings; without those that are empty.
fn deployed_with(app: &App, changes: &[(&str, &str)]) -> Settings {
    let mut settings = Settings::none().with(app.settings.clone());
    for (name, value) in changes {
        settings = match *value {
            "" => settings.without(name),
            value => settings.with([(*name, value)]),
        };
    }
    settings
}

/// Whether this service opens this link.
async fn opens(settings: &Settings, link: &str) -> bool {
    let runner = jarvis_cron::cli::serve::runner(settings).unwrap();
    let router = jarvis_cron::http::router(runner, settings.guard(false).unwrap());
    let request = axum::http::Request::get(link).body(axum::body::Body::empty());
    let answer = tower::ServiceExt::oneshot(router, request.unwrap()).await;
    answer.unwrap().status() == 200
}

fn link_of(settings: &Settings, lasts: Duration) -> String {
    let links = settings.links().unwrap().unwrap();
    let link = to_report(&links, "lyon", "2025-W05".parse().unwrap(), now() + lasts);
    let link = link.unwrap();
    link.as_str().strip_prefix(PUBLIC_URL).unwrap().to_owned()
}

#[rstest]
#[case::a_new_operator_secret(
    &[("LINK_SECRET", LINK_SECRET)],
    &[("LINK_SECRET", LINK_SECRET), ("OPERATOR_SECRET", NEW_OPERATOR_SECRET)],
    true
)]
#[case::no_operator_any_more(
    &[("LINK_SECRET", LINK_SECRET)],
    &[("LINK_SECRET", LINK_SECRET), ("OPERATOR_SECRET", "")],
    true
)]
#[case::made_before_there_was_a_secret_for_links(&[], &[("LINK_SECRET", LINK_SECRET)], true)]
#[case::made_before_and_the_operators_is_new(
    &[],
    &[
        ("LINK_SECRET", LINK_SECRET),
        ("LINK_SECRET_PREVIOUS", OPERATOR_SECRET),
        ("OPERATOR_SECRET", NEW_OPERATOR_SECRET)
    ],
    true
)]
#[case::a_new_secret_for_links_and_the_former(
    &[("LINK_SECRET", LINK_SECRET)],
    &[("LINK_SECRET", NEW_LINK_SECRET), ("LINK_SECRET_PREVIOUS", LINK_SECRET)],
    true
)]
#[case::a_new_secret_for_links(
    &[("LINK_SECRET", LINK_SECRET)],
    &[("LINK_SECRET", NEW_LINK_SECRET)],
    false
)]
#[case::a_new_operator_secret_where_it_signs(
    &[],
    &[("OPERATOR_SECRET", NEW_OPERATOR_SECRET)],
    false
)]
#[case::a_secret_that_is_the_former_one_only(
    &[("LINK_SECRET", NEW_LINK_SECRET)],
    &[("LINK_SECRET_PREVIOUS", LINK_SECRET)],
    false
)]
#[tokio::test]
async fn a_link_lasts_as_long_as_the_secret_that_signed_it(
    #[case] before: &[(&str, &str)],
    #[case] after: &[(&str, &str)],
    #[case] is_good: bool,
) {
    let app = with_a_report().await;
    let (before, after) = (deployed_with(&app, before), deployed_with(&app, after));
    let link = link_of(&before, Duration::minutes(5));
    assert!(opens(&before, &link).await);

    assert_eq!(opens(&after, &link).await, is_good);
    assert!(opens(&after, &link_of(&after, Duration::minutes(5))).await);
    let expired = link_of(&before, -Duration::seconds(1));
    assert!(!opens(&after, &expired).await);
}

#[rstest]
#[case::short("LINK_SECRET", "link", "is shorter")]
#[case::placeholder(
    "LINK_SECRET",
    "changeme-changeme-changeme-changeme",
    "is a placeholder"
)]
#[case::previous("LINK_SECRET_PREVIOUS", "link", "is shorter")]
#[case::operators("LINK_SECRET", OPERATOR_SECRET, "equals OPERATOR_SECRET")]
#[case::schedulers("LINK_SECRET", CRON_SECRET, "equals CRON_SECRET")]
#[tokio::test]
async fn a_secret_for_links_is_one_of_its_own(
    #[case] name: &str,
    #[case] value: &str,
    #[case] why: &str,
) {
    let app = App::new().await;
    let settings = deployed_with(&app, &[(name, value)]);

    let wrong = settings.guard(false).unwrap_err().to_string();

    assert!(wrong.starts_with(&format!("{name} {why}")), "{wrong}");
    let output = Command::new(env!("CARGO_BIN_EXE_jarvis-cron"))
        .args(["reports", "link", "lyon", "2025-W05"])
        .env_clear()
        .envs(&app.settings)
        .env(name, value)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[tokio::test]
async fn without_a_link_the_operators_secret_is_needed() {
    let app = with_a_report().await;
    for (secret, status) in [(OPERATOR_SECRET, 200), (CRON_SECRET, 401), ("", 401)] {
        let headers = [("authorization", format!("Bearer {secret}"))];
        let reply = app.call(Method::GET, PATH, &headers, "").await;
        assert_eq!(reply.status, status, "{reply:?}");
    }
    assert_eq!(get(&app, PATH).await.status, 401);
    // No caller learns which reports there are.
    assert_eq!(get(&app, "/reports/nowhere/2025-W05").await.status, 401);
}

#[tokio::test]
async fn a_report_that_is_not_there_is_not_found() {
    let app = with_a_report().await;
    let headers = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    for path in [
        "/reports/lyon/2025-W06",
        "/reports/nowhere/2025-W05",
        "/reports/lyon/2025-W5",
        "/reports/lyon/2025-W05.pdf",
        "/reports/ly%00on/2025-W05",
        "/reports/ly%ffon/2025-W05",
        "/reports/%27%3B--/2025-W05",
    ] {
        let reply = app.call(Method::GET, path, &headers, "").await;
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
        assert_eq!(reply.body["code"], "unknown_report");
    }
}

#[tokio::test]
async fn the_command_prints_a_link_that_opens_the_report() {
    let app = with_a_report().await;
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_jarvis-cron"))
            .args(["reports", "link"])
            .args(arguments)
            .env_clear()
            .envs(&app.settings)
            .output()
            .unwrap()
    };

    let output = run(&["lyon", "2025-W05", "--days", "1"]);
    assert!(output.status.success(), "{output:?}");
    let link = String::from_utf8(output.stdout).unwrap();
    let path = link.trim().strip_prefix(PUBLIC_URL).unwrap();

    assert_eq!(get(&app, path).await.status, 200);
    assert_eq!(run(&["lyon", "2025-W54"]).status.code(), Some(2));
}
