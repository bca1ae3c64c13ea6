//! Values that cannot stand.

use super::*;

#[rstest]
fn a_variable_that_is_set_but_empty_is_wrong_and_not_unset(
    #[values(
        "DATABASE_URL",
        "DATABASE_DIRECT_URL",
        "DATABASE_MAX_CONNECTIONS",
        "DATABASE_ACQUIRE_TIMEOUT_MS",
        "DATABASE_LOCK_TIMEOUT_MS",
        "DATABASE_STATEMENT_TIMEOUT_MS",
        "DATABASE_PASSWORD_FILE",
        "DATABASE_CA_CERT",
        "HOST",
        "PORT",
        "PUBLIC_URL",
        "CRON_SECRET",
        "CRON_SECRET_PREVIOUS",
        "OPERATOR_SECRET",
        "LINK_SECRET",
        "LINK_SECRET_PREVIOUS",
        "QSTASH_CURRENT_SIGNING_KEY",
        "QSTASH_NEXT_SIGNING_KEY",
        "QSTASH_VERIFY",
        "QSTASH_REGION",
        "STRIPE_SECRET_KEY",
        "STRIPE_API_BASE",
        "STRIPE_MAX_RPS",
        "RESEND_API_KEY",
        "RESEND_API_BASE",
        "RESEND_MAX_RPS",
        "REPORT_FROM",
        "RUN_BUDGET_SECONDS",
        "LEASE_TTL_SECONDS",
        "LOG_FORMAT",
        "RUST_LOG"
    )]
    variable: &str,
    #[values("", "   ")] value: &str,
) {
    assert_refused(&[(variable, Some(value))], variable);
}

#[rstest]
fn a_variable_that_is_needed_cannot_be_unset(
    #[values(
        "DATABASE_URL",
        "PUBLIC_URL",
        "CRON_SECRET",
        "QSTASH_CURRENT_SIGNING_KEY",
        "QSTASH_NEXT_SIGNING_KEY"
    )]
    variable: &str,
) {
    assert_refused(&[(variable, None)], variable);
}

#[test]
fn mail_with_a_key_needs_a_sender() {
    assert_refused(&[("RESEND_API_KEY", Some("re_5Tz8Qw1Rk7"))], "REPORT_FROM");
}

/// What serves must know where its messages are to go.
#[test]
fn messages_with_a_token_need_an_address() {
    let token = ("QSTASH_TOKEN", Some("an-unknown-qstash-token"));
    for (variable, value) in [
        ("PUBLIC_URL", None),
        ("QSTASH_URL", Some("http://qstash.test")),
    ] {
        let read = settings(&[token, ("QSTASH_VERIFY", Some("off")), (variable, value)]);
        let wrong = serve::runner(&read).expect_err("it was accepted");
        let wrong = wrong.downcast::<Wrong>().expect("not a wrong setting");
        assert!(wrong.to_string().starts_with(variable), "{wrong}");
    }
}

#[rstest]
fn a_secret_that_is_none_is_refused(
    #[values(
        "CRON_SECRET",
        "CRON_SECRET_PREVIOUS",
        "OPERATOR_SECRET",
        "LINK_SECRET",
        "LINK_SECRET_PREVIOUS"
    )]
    variable: &str,
    #[values(
        "0b9f4c6e8a1d3f5c7e9b2d4f6a8c0e1", // 31 characters
        "changeme",
        "please-changeme-before-going-to-production",
        "CHANGE_ME_CHANGE_ME_CHANGE_ME_CHANGE_ME",
        "your_strong_random_secret_here",
        "your_very_strong_and_long_random_secret",
        "put-a-very-long-and-random-secret_here",
        "example-secret-of-forty-characters-or-so",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "                                        x",
        "undefined"
    )]
    value: &str,
) {
    assert_refused(&[(variable, Some(value))], variable);
}

#[rstest]
#[case::public_current("QSTASH_CURRENT_SIGNING_KEY", "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r")]
#[case::public_next("QSTASH_NEXT_SIGNING_KEY", "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs")]
#[case::public_in_the_other_place("QSTASH_NEXT_SIGNING_KEY", "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r")]
#[case::undefined_key("QSTASH_CURRENT_SIGNING_KEY", "undefined")]
#[case::placeholder_key("QSTASH_CURRENT_SIGNING_KEY", "your_signing_key_here")]
#[case::verify("QSTASH_VERIFY", "false")]
#[case::region("QSTASH_REGION", "us-east-1")]
#[case::no_scheme("PUBLIC_URL", "cron.elsewhere.test")]
#[case::other_scheme("PUBLIC_URL", "ftp://cron.elsewhere.test")]
#[case::with_query("PUBLIC_URL", "https://cron.elsewhere.test/?a=1")]
#[case::host_by_name("HOST", "localhost")]
#[case::port_too_large("PORT", "65536")]
#[case::port_by_name("PORT", "http-alt")]
#[case::no_database("DATABASE_URL", "db.example.test/hunter2")]
#[case::other_database("DATABASE_URL", "mysql://root:hunter2@db.example.test/jarvis")]
#[case::database_port("DATABASE_URL", "postgres://root:hunter2@db.example.test:x/jarvis")]
#[case::direct_database("DATABASE_DIRECT_URL", "hunter2@db.example.test")]
#[case::no_connections("DATABASE_MAX_CONNECTIONS", "0")]
#[case::one_connection("DATABASE_MAX_CONNECTIONS", "1")]
#[case::many_connections("DATABASE_MAX_CONNECTIONS", "12345")]
#[case::no_patience("DATABASE_ACQUIRE_TIMEOUT_MS", "0")]
#[case::wait_for_locks_for_ever("DATABASE_LOCK_TIMEOUT_MS", "12345678")]
#[case::publishable_key("STRIPE_SECRET_KEY", "pk_live_5Tz8Qw1Rk7")]
#[case::plain_http("STRIPE_API_BASE", "http://api.stripe.com")]
#[case::plain_http_in_the_house("STRIPE_API_BASE", "http://10.0.0.7:12111")]
#[case::plain_http_to_a_lookalike("STRIPE_API_BASE", "http://127.0.0.1.nip.io:12111")]
#[case::plain_http_behind_a_user("STRIPE_API_BASE", "http://localhost@10.0.0.7:12111")]
#[case::no_rate("STRIPE_MAX_RPS", "0")]
#[case::rate_of_words("STRIPE_MAX_RPS", "plenty")]
#[case::reason("STRIPE_CANCELLATION_REASON", "too_late")]
#[case::reason_in_capitals("STRIPE_CANCELLATION_REASON", "Abandoned")]
#[case::mail_key_of_another_service("RESEND_API_KEY", "SG.5Tz8Qw1Rk7")]
#[case::mail_over_plain_http("RESEND_API_BASE", "http://api.resend.com")]
#[case::mail_over_plain_http_to_a_lookalike("RESEND_API_BASE", "http://127.0.0.1.nip.io:12111")]
#[case::no_mail_rate("RESEND_MAX_RPS", "0")]
#[case::sender_without_address("REPORT_FROM", "JARVIS reports")]
#[case::no_budget("RUN_BUDGET_SECONDS", "0")]
#[case::budget_with_unit("RUN_BUDGET_SECONDS", "50 seconds")]
#[case::long_budget("RUN_BUDGET_SECONDS", "36010")]
#[case::no_lease("LEASE_TTL_SECONDS", "0")]
#[case::negative_lease("LEASE_TTL_SECONDS", "-60.0")]
#[case::log_format("LOG_FORMAT", "xml-please")]
#[case::log_filter("RUST_LOG", "jarvis_cron=loudly")]
fn a_wrong_value_is_refused(#[case] variable: &str, #[case] value: &str) {
    assert_refused(&[(variable, Some(value))], variable);
}

#[rstest]
#[case::now("CRON_SECRET", CRON_SECRET)]
#[case::before("CRON_SECRET_PREVIOUS", PREVIOUS)]
fn an_operator_has_a_secret_of_their_own(#[case] other: &str, #[case] secret: &str) {
    let same = [(other, Some(secret)), ("OPERATOR_SECRET", Some(secret))];
    assert_refused(&same, "OPERATOR_SECRET");
}

#[rstest]
#[case::current(
    "EU_CENTRAL_1_QSTASH_NEXT_SIGNING_KEY",
    "EU_CENTRAL_1_QSTASH_CURRENT_SIGNING_KEY"
)]
#[case::next(
    "EU_CENTRAL_1_QSTASH_CURRENT_SIGNING_KEY",
    "EU_CENTRAL_1_QSTASH_NEXT_SIGNING_KEY"
)]
fn half_a_pair_of_region_keys_is_refused(#[case] given: &str, #[case] missing: &str) {
    let half = [
        ("QSTASH_REGION", Some("US_EAST_1")),
        (given, Some("sig_region_9TmB3xQ")),
    ];
    assert_refused(&half, missing);
}

#[test]
fn a_value_that_is_no_text_is_refused_by_its_name() {
    use std::os::unix::ffi::OsStrExt;
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_jarvis-cron"))
        .arg("serve")
        .env_clear()
        .env("LOG_FORMAT", std::ffi::OsStr::from_bytes(b"js\xffon"))
        .output()
        .unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.starts_with("jarvis-cron: LOG_FORMAT "), "{said}");
}
