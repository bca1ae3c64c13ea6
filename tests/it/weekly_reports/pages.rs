//! The report as people and programs read it.

use axum::http::Method;
use jarvis_cron::reports::i18n::Language;
use rstest::rstest;

use super::{JOB, MONDAY};
use crate::app::{App, OPERATOR_SECRET, Reply};

mod anonymised;
mod data;
mod reasons;
mod spreadsheet;

async fn read(app: &App, path: &str) -> Reply {
    let headers = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    let reply = app.call(Method::GET, path, &headers, "").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply
}

async fn with_a_busy_week() -> App {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    app.busy_week(gym).await;
    app.operate(JOB, MONDAY).await;
    app
}

#[tokio::test]
async fn the_page_says_the_numbers_in_french_by_the_gyms_locale() {
    let app = with_a_busy_week().await;

    let page = read(&app, "/reports/lyon/2025-W05").await.text;

    for words in [
        "<html lang=\"fr\">",
        "Gym lyon",
        "du lundi 27 janvier au dimanche 2 février 2025",
        // Six visits, after twenty-eight.
        "<span class=\"value\">6</span> <span class=\"change bad\">\u{2212}79\u{202f}%</span>",
        "Les visites sont en baisse",
        "Ada Lovelace",
        "91\u{202f}% de risque",
        "nutrition",
        "<svg",
    ] {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    let list = page.find("Ada Lovelace").unwrap();
    assert!(list < page.find("Bob Lovelace").unwrap());
    assert!(!page.contains("Cy Lovelace"), "not at risk");
}

#[tokio::test]
async fn the_page_says_the_same_in_english() {
    let app = with_a_busy_week().await;

    let asked = read(&app, "/reports/lyon/2025-W05?lang=en").await.text;
    app.execute("update gyms set locale = 'en-GB'").await;
    let by_locale = read(&app, "/reports/lyon/2025-W05").await.text;

    assert_eq!(asked, by_locale);
    for words in [
        "<html lang=\"en\">",
        "Monday 27 January to Sunday 2 February 2025",
        "<span class=\"change bad\">\u{2212}79%</span>",
        "Visits are down",
        "91% risk",
    ] {
        assert!(asked.contains(words), "{words} is not in {asked}");
    }
}

#[tokio::test]
async fn the_page_of_an_empty_week_is_whole() {
    let app = App::new().await;
    app.gym_called("lyon", "Europe/Paris").await;
    app.operate(JOB, MONDAY).await;

    for (lang, words) in [
        ("fr", "Aucune visite et aucune conversation"),
        ("en", "No visits and no conversations"),
    ] {
        let page = read(&app, &format!("/reports/lyon/2025-W05?lang={lang}"))
            .await
            .text;
        assert!(page.contains(words), "{page}");
        for nonsense in ["NaN", "inf", "null", "Infinity"] {
            assert!(
                !page.split("</style>").nth(1).unwrap().contains(nonsense),
                "{nonsense} in {page}"
            );
        }
    }
}

#[tokio::test]
async fn the_page_may_load_nothing_and_is_kept_nowhere() {
    let app = with_a_busy_week().await;

    let reply = read(&app, "/reports/lyon/2025-W05").await;

    let header = |name: &str| reply.headers[name].to_str().unwrap();
    let policy = header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "no-referrer");
    assert_eq!(header("cache-control"), "private, no-store");
    for outside in [
        "<script", " src=", "url(", "@import", "http:", "https:", " style=", " on",
    ] {
        let found = reply
            .text
            .split_once("</style>")
            .unwrap()
            .1
            .contains(outside);
        assert!(!found || outside == " on", "{outside} in {}", reply.text);
    }
}

#[tokio::test]
async fn what_stands_in_the_database_is_text_and_never_markup() {
    let hostile = "<script>alert(1)</script>\"'&";
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    let member = app.named_member(gym, hostile, "=cmd|' /C calc'!A0").await;
    app.scored(gym, member, "2025-02-02", 0.9, "critical").await;
    sqlx::query("update gyms set name = $1")
        .bind(hostile)
        .execute(&app.db)
        .await
        .unwrap();
    sqlx::query(
        "insert into conversation_sessions (gym_id, started_at, topics) values ($1, '2025-01-28', array[$2, '=1+1'])",
    )
    .bind(gym)
    .bind(hostile)
    .execute(&app.db)
    .await
    .unwrap();
    app.operate(JOB, MONDAY).await;

    let page = read(&app, "/reports/lyon/2025-W05").await.text;
    assert!(!page.contains("<script"), "{page}");
    assert_eq!(
        page.matches("&lt;script&gt;alert(1)&lt;/script&gt;&quot;")
            .count(),
        4,
        "{page}"
    );

    let csv = read(&app, "/reports/lyon/2025-W05.csv?lang=en").await.text;
    let topic = "top_topics,\"<script>alert(1)</script>\"\"'&\",\"<script>alert(1)</script>\"\"'&\",1,,\r\n";
    assert!(csv.contains(topic), "{csv}");
    assert!(csv.contains("top_topics,'=1+1,'=1+1,1,,\r\n"), "{csv}");
}

#[tokio::test]
async fn an_anonymised_member_has_no_name_any_more() {
    let app = with_a_busy_week().await;
    app.execute("update members set anonymised_at = now() where first_name = 'Ada'")
        .await;

    for path in [
        "/reports/lyon/2025-W05",
        "/reports/lyon/2025-W05.csv",
        "/reports/lyon/2025-W05.json",
    ] {
        let text = read(&app, path).await.text;
        assert!(!text.contains("Ada"), "{text}");
    }
    assert!(
        read(&app, "/reports/lyon/2025-W05")
            .await
            .text
            .contains("Membre anonymisé")
    );
}

#[tokio::test]
async fn a_language_we_do_not_write_is_refused() {
    let app = with_a_busy_week().await;
    let headers = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];

    let reply = app
        .call(Method::GET, "/reports/lyon/2025-W05?lang=de", &headers, "")
        .await;

    assert_eq!(reply.status, 422, "{reply:?}");
}

#[rstest]
#[case::french(
    "fr",
    "1\u{202f}234\u{202f}567",
    "\u{2212}12,5\u{202f}%",
    "+8\u{202f}%",
    "du lundi 30 décembre 2024 au dimanche 5 janvier 2025",
    "18\u{202f}h"
)]
#[case::french_of_canada(
    "fr-CA",
    "1\u{202f}234\u{202f}567",
    "\u{2212}12,5\u{202f}%",
    "+8\u{202f}%",
    "du lundi 30 décembre 2024 au dimanche 5 janvier 2025",
    "18\u{202f}h"
)]
#[case::english(
    "en",
    "1,234,567",
    "\u{2212}12.5%",
    "+8%",
    "Monday 30 December 2024 to Sunday 5 January 2025",
    "18:00"
)]
#[case::german_reads_english(
    "de",
    "1,234,567",
    "\u{2212}12.5%",
    "+8%",
    "Monday 30 December 2024 to Sunday 5 January 2025",
    "18:00"
)]
fn numbers_and_dates_are_written_as_the_language_does(
    #[case] locale: &str,
    #[case] count: &str,
    #[case] share: &str,
    #[case] change: &str,
    #[case] week: &str,
    #[case] hour: &str,
) {
    let language = Language::of(locale);
    assert_eq!(language.count(1_234_567), count);
    assert_eq!(language.percent(-0.125, 1), share);
    assert_eq!(language.change(0.08), change);
    assert_eq!(language.week("2024-12-30".parse().unwrap()), week);
    assert_eq!(language.hour(18), hour);
    assert_eq!(language.count(-999), "\u{2212}999");
    assert_eq!(
        language.decimal_difference(-0.004, 2),
        language.decimal(0.0, 2)
    );
}

#[test]
fn the_first_of_a_month_is_an_ordinal_in_french() {
    let march = "2027-03-01".parse().unwrap();
    assert_eq!(
        Language::French.week(march),
        "du lundi 1er au dimanche 7 mars 2027"
    );
    assert_eq!(
        Language::English.week(march),
        "Monday 1 to Sunday 7 March 2027"
    );
}
