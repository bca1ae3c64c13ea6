//! `doctor`: what it finds in a good configuration, and in broken ones.

use std::net::TcpListener;

use jarvis_cron::demo::qstash_double::{ELSEWHERE_TOKEN, QstashDouble, READ_ONLY_TOKEN, TOKEN};

use super::serving::Service;
use super::*;

mod drift;
mod exposure;
mod links;
mod outside;
mod schedules;

/// Everything that a service needs, and the settings to find it by.
struct Surroundings {
    app: App,
    qstash: QstashDouble,
    service: Service,
}

impl Surroundings {
    async fn new() -> Self {
        let app = App::with(&[("RUN_BUDGET_SECONDS", "")]).await;
        let qstash = QstashDouble::start().await.unwrap();
        qstash.set_keys(CURRENT_KEY, NEXT_KEY);
        let service = Service::start(&app.settings).await;
        let all = Self {
            app,
            qstash,
            service,
        };
        schedules::apply(&all).await;
        all
    }

    /// Where all is well, but for these changes.
    fn settings(&self, changes: &[(&str, &str)]) -> Settings {
        let url = self.qstash.url();
        let all = [
            ("PUBLIC_URL", &*self.service.url),
            ("QSTASH_TOKEN", READ_ONLY_TOKEN),
            ("QSTASH_URL", &url),
        ];
        with(&with(&self.app.settings, &all), changes)
    }
}

/// What is found with these settings.
async fn doctor(settings: &Settings) -> Findings {
    let done = run(settings, &["doctor", "--json"]).await;
    assert_eq!(done.err, "", "{done:?}");
    Findings {
        answer: done.json(),
        code: done.code,
    }
}

#[derive(Debug)]
struct Findings {
    answer: Value,
    code: Option<i32>,
}

impl Findings {
    /// What was found at that level.
    fn at(&self, level: &str) -> Vec<String> {
        let findings = self.answer["findings"].as_array().unwrap().iter();
        findings
            .filter(|finding| finding["level"] == level)
            .map(|finding| {
                let text = |name: &str| finding[name].as_str().unwrap_or_default();
                let has_fix = !text("mend").is_empty();
                assert_eq!(has_fix, level != "ok", "{finding}");
                format!("{}: {}", text("check"), text("what"))
            })
            .collect()
    }

    /// Every failure must contain its own text, in this order.
    fn fails_with(&self, words: &[&str]) {
        let failures = self.at("failure");
        assert_eq!(failures.len(), words.len(), "{self:#?}");
        for (failure, word) in failures.iter().zip(words) {
            assert!(failure.contains(word), "{word} is not in {failure}");
        }
        let is_well = words.is_empty();
        assert_eq!(self.answer["healthy"], is_well);
        assert_eq!(self.answer["failures"], words.len());
        assert_eq!(self.code, Some(i32::from(!is_well)));
    }

    fn warns_of(&self, word: &str) {
        let warnings = self.at("warning");
        let is_there = warnings.iter().any(|warning| warning.contains(word));
        assert!(is_there, "{word} is not in {warnings:#?}");
    }
}

/// An address that refuses connections.
fn closed() -> String {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    closed.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_good_configuration_is_well() {
    let all = Surroundings::new().await;
    let found = doctor(&all.settings(&[])).await;
    found.fails_with(&[]);
    let well = found.at("ok").join("\n");
    for word in [
        "settings: every setting",
        "migrations: all applied",
        "token: accepted",
        "keys: both are QStash's",
        "stripe: test mode",
        "service: is ready",
        "service: refuses a call without credentials",
        "schedules: none of them calls another address",
        "schedules: all 6 are as they were deployed",
        "clock: agrees with that of the database",
        "clock: agrees with that of QStash",
        "clock: no lease and no run is dated in the future",
        "identities: each is ahead of its table",
        "mail: RESEND_API_KEY is not set",
    ] {
        assert!(well.contains(word), "{word} is not in\n{well}");
    }
}

#[tokio::test]
async fn everything_wrong_with_the_settings_is_reported_at_once() {
    let broken = with(
        &Settings::new(),
        &[
            ("CRON_SECRET", "too-short"),
            ("OPERATOR_SECRET", "changeme-changeme-changeme-changeme"),
            (
                "QSTASH_CURRENT_SIGNING_KEY",
                "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
            ),
            ("DATABASE_MAX_CONNECTIONS", "many"),
            ("STRIPE_SECRET_KEY", "pk_live_1234567890"),
            ("STRIPE_MAX_RPS", "plenty"),
            ("LEASE_TTL_SECONDS", "soon"),
            ("RUN_BUDGET_SECONDS", ""),
            ("QSTASH_URL", "http://qstash.example.test"),
            ("PORT", "eighty"),
        ],
    );
    let found = doctor(&broken).await;
    found.fails_with(&[
        "DATABASE_URL is not set",
        "DATABASE_MAX_CONNECTIONS must",
        "PORT must",
        "CRON_SECRET is shorter",
        "OPERATOR_SECRET is a placeholder",
        "QSTASH_CURRENT_SIGNING_KEY is the public key",
        "QSTASH_NEXT_SIGNING_KEY is not set",
        "PUBLIC_URL is not set",
        "STRIPE_SECRET_KEY must",
        "STRIPE_MAX_RPS must",
        "RUN_BUDGET_SECONDS is set but empty",
        "LEASE_TTL_SECONDS must",
        "QSTASH_URL must",
    ]);
}

#[tokio::test]
async fn what_cannot_be_reached_is_reported_at_once() {
    let all = Surroundings::new().await;
    let closed = closed();
    let url = format!("http://{closed}");
    let database = format!("postgres://jarvis:hunter2-hunter2@{closed}/jarvis");
    let found = doctor(&all.settings(&[
        ("DATABASE_URL", &database),
        ("PUBLIC_URL", &url),
        ("STRIPE_API_BASE", &url),
        ("QSTASH_TOKEN", ELSEWHERE_TOKEN),
    ]))
    .await;
    found.fails_with(&[
        "database: DATABASE_URL: no connection",
        "user not found in this region",
        "stripe: test mode: no real money; Stripe cannot be reached",
        "service: no answer at",
    ]);
    let report = found.answer.to_string();
    assert!(
        report.contains("https://qstash-us-east-1.upstash.io"),
        "{report}"
    );
    assert!(!report.contains("hunter2"), "{report}");
}

#[tokio::test]
async fn a_half_done_deployment_is_reported_part_by_part() {
    let all = Surroundings::new().await;
    all.qstash.roll_keys();
    all.qstash.roll_keys();
    all.app.stripe.only_key("sk_test_another");
    all.app
        .execute(
            "delete from _sqlx_migrations where version = 20261124000002;
             update _sqlx_migrations set checksum = '' where version = 20261101000001;
             insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (20990101000001, 'of a later version', true, '', 0)",
        )
        .await;
    let changes = [
        ("RUN_BUDGET_SECONDS", "51"),
        ("LEASE_TTL_SECONDS", "10"),
        (
            "CRON_SECRET_PREVIOUS",
            "previous-8c1e4b7a2d9f6035c8e1b4a7d0f3962e",
        ),
    ];
    let found = doctor(&all.settings(&changes)).await;
    found.fails_with(&[
        "QStash stops waiting",
        "1 not applied",
        "20261101000001 was applied with another text",
        "rolled twice",
        "Stripe denied the key (401)",
        "is not ready: 503",
    ]);
    found.warns_of("a lease lasts 10 s");
    found.warns_of("20990101000001 is not known to this program");
    found.warns_of("a rotation is under way");
}

#[tokio::test]
async fn a_missing_optional_part_is_reported_and_fails_nothing() {
    let all = Surroundings::new().await;
    let mut settings = all.settings(&[("QSTASH_TOKEN", TOKEN)]);
    for name in [
        "QSTASH_TOKEN",
        "QSTASH_URL",
        "STRIPE_SECRET_KEY",
        "OPERATOR_SECRET",
    ] {
        settings.remove(name);
    }
    let found = doctor(&settings).await;
    found.fails_with(&[]);
    found.warns_of("QSTASH_TOKEN is not set");
    found.warns_of("STRIPE_SECRET_KEY is not set");
    let well = found.at("ok").join("\n");
    assert!(well.contains("OPERATOR_SECRET is not set"), "{well}");
}

#[tokio::test]
async fn people_get_a_table_and_warnings_fail_only_the_strict() {
    let all = Surroundings::new().await;
    let settings = all.settings(&[("LEASE_TTL_SECONDS", "10")]);
    let relaxed = run(&settings, &["doctor"]).await;
    let strict = run(&settings, &["doctor", "--strict"]).await;
    assert_eq!((relaxed.code, strict.code), (Some(0), Some(1)));
    assert_eq!(relaxed.out, strict.out);
    for said in ["set LEASE_TTL_SECONDS to 60", "0 failed, 3 with a warning"] {
        assert!(relaxed.out.contains(said), "{relaxed:?}");
    }
    for secret in [
        CRON_SECRET,
        OPERATOR_SECRET,
        CURRENT_KEY,
        NEXT_KEY,
        READ_ONLY_TOKEN,
    ] {
        assert!(!relaxed.out.contains(secret), "{relaxed:?}");
    }
}

#[rstest]
#[case::asked_for_nothing("", "sslmode=require, the server's certificate is not checked")]
#[case::no_name(
    "?sslmode=verify-ca",
    "sslmode=verify-ca, the server's name is not checked"
)]
#[case::in_the_clear("?sslmode=disable", "sslmode=disable, nothing is encrypted")]
#[tokio::test]
async fn a_way_to_another_machine_that_is_not_checked_in_full_is_reported(
    #[case] parameters: &str,
    #[case] said: &str,
) {
    let all = Surroundings::new().await;
    let weak = format!("postgres://jarvis@db.invalid/jarvis{parameters}");
    let full = "postgres://jarvis@db.invalid:6543/jarvis?sslmode=verify-full";
    let settings = all.settings(&[("DATABASE_URL", &weak), ("DATABASE_DIRECT_URL", full)]);
    let found = doctor(&settings).await;
    found.warns_of(&format!("tls: DATABASE_URL: {said}"));
    let warnings = found.at("warning");
    let of_direct = |it: &String| it.contains("tls: DATABASE_DIRECT_URL");
    assert!(!warnings.iter().any(of_direct), "{warnings:#?}");
}
