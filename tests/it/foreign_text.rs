//! Words of others: however much Stripe, QStash, Resend or a caller says, and
//! whatever is in it, what we keep, log and answer is short, visible and holds
//! no secret of ours.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jarvis_cron::foreign_text::ForeignText;
use rstest::rstest;
use serde_json::json;

use crate::app::{App, Delivery, OPERATOR_SECRET, PUBLIC_URL, Reply, now};

pub(crate) mod found;
mod hostile;
mod requests;

use found::{Log, assert_harmless, collect, texts_of_rows};
use hostile::{Hostile, Says};

/// Stands in every hostile text, so that what is left of it can be found.
const MARK: &str = "Quoting";
/// A key of ours that it quotes.
const KEY: &str = "sk_live_OurOwnKeyThatAnotherQuotes4711";

/// Whom the service asks.
#[derive(Debug, Clone, Copy)]
enum Service {
    Stripe,
    Qstash,
    Resend,
}

impl Service {
    /// An app that asks `url` in its place, with work for it.
    async fn app(self, url: &str) -> App {
        match self {
            Self::Stripe => {
                let settings = [("STRIPE_API_BASE", url), ("STRIPE_SECRET_KEY", KEY)];
                let app = App::with(&settings).await;
                app.stale_order_with_intent("requires_action", None).await;
                app
            }
            Self::Qstash => App::with(&[("QSTASH_URL", url), ("QSTASH_TOKEN", KEY)]).await,
            Self::Resend => {
                let app = App::with(&[
                    ("RESEND_API_BASE", url),
                    ("RESEND_API_KEY", &format!("re_{KEY}")),
                    ("STRIPE_SECRET_KEY", KEY),
                    ("REPORT_FROM", "JARVIS <reports@gym.test>"),
                ])
                .await;
                let gym = app.gym_called("lyon", "Europe/Paris").await;
                app.execute(&format!(
                    "insert into report_recipients (gym_id, email) values ('{gym}', 'ada@gym.test')"
                ))
                .await;
                app
            }
        }
    }

    /// Has the app ask it.
    async fn ask(self, app: &App) -> Reply {
        match self {
            Self::Stripe => app.operate("expire-stale-orders", "").await,
            Self::Qstash => {
                let fan_out = Delivery::of("expire-stale-orders").body(r#"{"fan_out": 2}"#);
                fan_out.to(app).await
            }
            Self::Resend => app.operate("weekly-reports", "").await,
        }
    }

    /// Its refusal with these words.
    fn refusal(self, words: &str) -> Says {
        let body = match self {
            Self::Stripe => json!({ "error": { "message": words, "code": words } }),
            Self::Qstash => json!({ "error": words }),
            Self::Resend => json!({ "name": words, "message": words }),
        };
        Says::Text(400, body.to_string())
    }
}

/// Words with everything in them that must not be kept, and so much more.
fn nasty(more: usize) -> String {
    let (begin, end) = KEY.split_at(12);
    format!(
        "{MARK} {KEY}\0\u{1b}[31m\u{202e}and {begin}\0{end} and {begin}\u{200b}{end}\r\n\
         Authorization: Bearer abcdefghijkl {OPERATOR_SECRET} {}",
        "x".repeat(more)
    )
}

#[rstest]
#[tokio::test]
async fn what_a_service_says_is_cut_cleared_and_redacted_wherever_it_goes(
    #[values(Service::Stripe, Service::Qstash, Service::Resend)] service: Service,
    #[values(10, 900_000 / 2)] more: usize,
) {
    let server = Hostile::start(service.refusal(&nasty(more))).await;
    let app = service.app(&server.url()).await;
    let log = Log::begin();

    let reply = service.ask(&app).await;

    assert!(server.calls() > 0);
    let mut answers = Vec::new();
    collect(&reply.body, &mut answers);
    assert_harmless(&answers);
    let rows = texts_of_rows(&app).await;
    assert!(assert_harmless(&rows) > 1, "{rows:#?}");
    assert!(assert_harmless(&log.texts()) > 0, "{:?}", log.texts());
}

#[rstest]
#[tokio::test]
async fn an_answer_over_a_megabyte_is_no_answer(
    #[values(Service::Stripe, Service::Qstash, Service::Resend)] service: Service,
    #[values(200, 400, 500)] status: u16,
) {
    let server = Hostile::start(Says::Endless(status, 300 << 20)).await;
    let app = service.app(&server.url()).await;

    let reply = service.ask(&app).await;

    let rows = texts_of_rows(&app).await;
    assert!(rows.iter().any(|it| it.contains("1024 KiB")), "{reply:?}");
    // What a few tries may have in flight, and far from all of it.
    assert!(server.sent() < 60 << 20, "{} bytes", server.sent());
}

#[tokio::test]
async fn a_message_of_five_megabytes_is_no_answer_either() {
    let server = Hostile::start(Service::Stripe.refusal(&nasty(5 << 20))).await;
    let app = Service::Stripe.app(&server.url()).await;

    let reply = Service::Stripe.ask(&app).await;

    let rows = texts_of_rows(&app).await;
    assert!(rows.iter().any(|it| it.contains("1024 KiB")), "{reply:?}");
    assert_eq!(assert_harmless(&rows), 0);
}

#[tokio::test]
async fn why_stripe_canceled_is_kept_like_any_of_its_words() {
    let app = App::with(&[("STRIPE_SECRET_KEY", KEY)]).await;
    let order = app.stale_order().await;
    let id = app.intent(order, "requires_action", None).await;
    let intent = json!({ "id": id, "status": "canceled", "cancellation_reason": nasty(1000) });
    let server = Hostile::start(Says::Text(200, intent.to_string())).await;
    let settings = [
        ("STRIPE_SECRET_KEY", KEY),
        ("STRIPE_API_BASE", &server.url()),
    ];
    let app = App::with_database(app.database, &settings).await;

    let reply = Service::Stripe.ask(&app).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let rows = texts_of_rows(&app).await;
    // At the row, and in the audit trail.
    assert_eq!(assert_harmless(&rows), 2, "{rows:#?}");
}

#[tokio::test]
async fn what_a_failure_callback_says_is_kept_alike() {
    let app = App::with(&[("STRIPE_SECRET_KEY", KEY)]).await;
    let log = Log::begin();
    for (schedule, status) in [("jarvis-expire-stale-orders", 200), ("another", 489)] {
        let created = now().timestamp_millis();
        let url = match status {
            200 => format!("{PUBLIC_URL}/api/cron/expire-stale-orders"),
            _ => format!("https://{MARK}.example/{KEY}"),
        };
        let callback = json!({
            "status": 500,
            "body": STANDARD.encode(nasty(5_000)),
            "sourceMessageId": format!("msg_{status}"),
            "url": url,
            "sourceHeader": { "Authorization": [nasty(10)], "X": [KEY] },
            "sourceBody": STANDARD.encode(json!({ "limit": nasty(10) }).to_string()),
            "createdAt": created,
            "scheduleId": schedule,
            "dlqId": format!("DLQ_{KEY}"),
        });
        let mut delivery = Delivery::of("expire-stale-orders").body(&callback.to_string());
        "/api/qstash/failures".clone_into(&mut delivery.path);

        let reply = delivery.to(&app).await;

        assert_eq!(reply.status.as_u16(), status, "{reply:?}");
        assert_harmless(&[reply.text]);
    }

    let rows = texts_of_rows(&app).await;
    // The failure's row and its alert.
    assert_eq!(assert_harmless(&rows), 2, "{rows:#?}");
    // Only the foreign one is logged, with its address.
    assert_eq!(assert_harmless(&log.texts()), 1, "{:?}", log.texts());
}

#[rstest]
#[case::plain("card declined", "card declined")]
#[case::lines("one\r\ntwo\u{2028}three", "one  two three")]
#[case::escape("a\u{1b}[2Jb\u{9b}31m\u{7f}c", "a[2Jb31mc")]
#[case::directions("a\u{202e}b\u{2066}c\u{200f}d", "abcd")]
#[case::nothing("\0\u{feff}\u{ad}", "")]
#[case::accents("l'été à 5 €", "l'été à 5 €")]
#[case::bearer("got bearer abc.def;", "got bearer [secret];")]
fn only_what_a_reader_sees_is_kept(#[case] said: &str, #[case] kept: &str) {
    assert_eq!(ForeignText::new(said).as_str(), kept);
}

#[test]
fn three_hundred_characters_are_kept_and_a_longer_text_says_that_it_was_cut() {
    let whole = "é".repeat(300);
    assert_eq!(ForeignText::new(&whole).as_str(), whole);

    let cut = ForeignText::new(&"é".repeat(301));

    assert_eq!(cut.chars().count(), 300);
    assert!(cut.ends_with("é…"));
    assert_eq!(ForeignText::new(&cut), cut);
}

#[test]
fn the_beginning_of_a_secret_at_the_end_of_a_text_that_was_cut_off_is_hidden_too() {
    jarvis_cron::foreign_text::hide([KEY, "short"]);

    let kept = ForeignText::new(&format!("short is the key {}", &KEY[..20]));

    assert_eq!(kept.as_str(), "short is the key [secret]");
}

#[rstest]
#[case::as_it_is("p\"1/2+3 é\\4")]
#[case::in_json(r#"p\"1/2+3 é\\4"#)]
#[case::in_an_address("p%221%2F2%2B3+%C3%A9%5C4")]
fn a_secret_is_hidden_in_every_form_in_which_it_is_quoted(#[case] quoted: &str) {
    jarvis_cron::foreign_text::hide(["p\"1/2+3 é\\4"]);

    let kept = ForeignText::new(&format!("<{quoted}>"));

    assert_eq!(kept.as_str(), "<[secret]>");
}
