//! What `doctor` finds outside: keys, token, clocks, databases, and what is in
//! front of the service.

use axum::Router;
use axum::http::StatusCode;

use super::*;
use crate::database::of_schema;

/// A server that answers everything alike.
async fn answering(status: u16, date: &'static str) -> String {
    let answer = (
        StatusCode::from_u16(status).unwrap(),
        [("date", date)],
        "{}",
    );
    let router = Router::new().fallback(async move || answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[rstest]
#[case::rolled_once(NEXT_KEY, "sig_newest", "has rolled its keys once")]
#[case::another_next(CURRENT_KEY, "sig_newest", "the next one is not")]
#[tokio::test]
async fn keys_that_work_for_now_are_a_warning(
    #[case] current: &str,
    #[case] next: &str,
    #[case] word: &str,
) {
    let all = Surroundings::new().await;
    all.qstash.set_keys(current, next);
    let found = doctor(&all.settings(&[])).await;
    found.fails_with(&[]);
    found.warns_of(word);
}

#[rstest]
#[case::wrong_token("an-unknown-token", "QStash refuses the token (401)")]
#[case::of_another_region(ELSEWHERE_TOKEN, "does not know this token here")]
#[tokio::test]
async fn a_token_that_is_refused_says_why(#[case] token: &str, #[case] word: &str) {
    let all = Surroundings::new().await;
    let found = doctor(&all.settings(&[("QSTASH_TOKEN", token)])).await;
    found.fails_with(&[word]);
    assert!(!found.answer.to_string().contains(token));
}

#[tokio::test]
async fn a_clock_that_is_off_is_a_failure() {
    let all = Surroundings::new().await;
    let url = answering(200, "Sat, 01 Jan 2000 00:00:00 GMT").await;
    let found = doctor(&all.settings(&[("QSTASH_URL", &url)])).await;
    found.fails_with(&[
        "s ahead of QStash",
        "no pair of keys",
        "no list of schedules",
    ]);
}

#[rstest]
#[case::a_redirect(308, "answers with a redirect (308)")]
#[case::a_login(403, "is closed to callers from outside (403)")]
#[case::another_service(200, "is answered by something else (200)")]
#[tokio::test]
async fn what_is_in_front_of_the_service_is_reported(#[case] status: u16, #[case] word: &str) {
    let all = Surroundings::new().await;
    let url = answering(status, "Sat, 01 Jan 2000 00:00:00 GMT").await;
    let found = doctor(&all.settings(&[("PUBLIC_URL", &url)])).await;
    found.fails_with(&["these do not call", word]);
}

#[tokio::test]
async fn plain_http_to_another_machine_is_a_failure() {
    let all = Surroundings::new().await;
    let public = [("PUBLIC_URL", "http://cron.example.test")];
    let found = doctor(&all.settings(&public)).await;
    found.fails_with(&["these do not call", "in the clear", "no answer at"]);
}

#[tokio::test]
async fn an_empty_database_lacks_every_migration() {
    let all = Surroundings::new().await;
    all.app
        .execute(&of_schema(
            "drop schema public cascade; create schema public",
        ))
        .await;
    let found = doctor(&all.settings(&[])).await;
    let count = jarvis_cron::database::MIGRATOR.iter().count();
    found.fails_with(&[&format!("{count} not applied"), "is not ready"]);
}

#[tokio::test]
async fn the_way_past_the_pooler_must_lead_to_the_same_database() {
    let all = Surroundings::new().await;
    let other = App::new().await;
    let direct = [("DATABASE_DIRECT_URL", &*other.database.direct_url)];
    let found = doctor(&all.settings(&direct)).await;
    found.fails_with(&["leads to another database"]);
}

#[tokio::test]
async fn an_address_that_is_given_twice_is_not_called_missing() {
    let all = Surroundings::new().await;
    let direct = [("DATABASE_DIRECT_URL", &*all.app.database.url)];
    let found = doctor(&all.settings(&direct)).await;
    found.fails_with(&[]);
    let well = found.at("ok").join("\n");
    assert!(
        well.contains("DATABASE_DIRECT_URL is DATABASE_URL's address"),
        "{well}"
    );
    assert!(!well.contains("not set: migrate"), "{well}");
}

#[tokio::test]
async fn migrations_that_cannot_be_read_are_not_called_missing() {
    let all = Surroundings::new().await;
    all.app
        .execute("alter table _sqlx_migrations rename column checksum to sum")
        .await;
    let found = doctor(&all.settings(&[])).await;
    found.fails_with(&["\"checksum\" does not exist", "is live and is not ready"]);
}
