//! Settings: what is refused, with which message, and that no secret is ever shown.

use std::collections::BTreeMap;

use jarvis_cron::cli::serve;
use jarvis_cron::config::{Settings, Wrong};
use rstest::rstest;

use crate::app::{CRON_SECRET, CURRENT_KEY, NEXT_KEY, OPERATOR_SECRET, PUBLIC_URL};

mod addresses;
mod qstash;
mod refused;

const DATABASE: &str = "postgres://jarvis:hunter2-is-no-password@db.example.test/jarvis";
const STRIPE_KEY: &str = "sk_live_5Tz8Qw1Rk7";
/// The secret before the last rotation.
const PREVIOUS: &str = "cron-previous-8c1e4b7a2d9f6035c8e1b4a7d0f3962e";

/// Settings that can stand, with some changed; `None` unsets.
fn settings(changes: &[(&str, Option<&str>)]) -> Settings {
    let mut settings = BTreeMap::from([
        ("DATABASE_URL", DATABASE),
        ("PUBLIC_URL", PUBLIC_URL),
        ("CRON_SECRET", CRON_SECRET),
        ("CRON_SECRET_PREVIOUS", PREVIOUS),
        ("OPERATOR_SECRET", OPERATOR_SECRET),
        ("QSTASH_CURRENT_SIGNING_KEY", CURRENT_KEY),
        ("QSTASH_NEXT_SIGNING_KEY", NEXT_KEY),
        ("STRIPE_SECRET_KEY", STRIPE_KEY),
    ]);
    for (name, value) in changes {
        match value {
            Some(value) => settings.insert(name, value),
            None => settings.remove(name),
        };
    }
    Settings::none().with(settings)
}

/// Reads all that `serve` reads.
fn read(settings: &Settings, dev: bool) -> Result<(), Wrong> {
    settings.logs()?;
    settings.guard(dev)?;
    settings.address(dev)?;
    settings.database()?;
    settings.stripe()?;
    settings.resend()?;
    settings.links()?;
    settings.runs()?;
    Ok(())
}

/// Refused, with one line that names the variable and not its value.
fn assert_refused(changes: &[(&str, Option<&str>)], variable: &str) {
    let wrong = read(&settings(changes), false).unwrap_err();
    let line = wrong.to_string();
    assert!(line.starts_with(&format!("{variable} ")), "{line}");
    assert!(line.len() > variable.len() + 10, "no hint: {line}");
    assert!(!line.contains('\n'), "{line}");
    let values = changes.iter().filter_map(|(_, value)| *value);
    for value in values.filter(|value| value.trim().len() > 4) {
        assert!(!format!("{line} {wrong:?}").contains(value), "{line}");
    }
}

#[test]
fn good_settings_are_read() {
    assert_eq!(read(&settings(&[]), false), Ok(()));
}

#[rstest]
#[case::verify_on(&[("QSTASH_VERIFY", Some("on"))])]
#[case::no_operator(&[("OPERATOR_SECRET", None)])]
#[case::no_previous_secret(&[("CRON_SECRET_PREVIOUS", None)])]
#[case::no_stripe(&[("STRIPE_SECRET_KEY", None)])]
#[case::restricted_stripe_key(&[("STRIPE_SECRET_KEY", Some("rk_live_5Tz8Qw1Rk7"))])]
#[case::stripe_on_loopback(&[("STRIPE_API_BASE", Some("http://127.0.0.1:12111"))])]
#[case::stripe_on_localhost(&[("STRIPE_API_BASE", Some("http://localhost:12111/"))])]
#[case::stripe_on_loopback_of_ipv6(&[("STRIPE_API_BASE", Some("http://[::1]:12111"))])]
#[case::mail(&[("RESEND_API_KEY", Some("re_5Tz8Qw1Rk7")), ("REPORT_FROM", Some("JARVIS <reports@gym.test>"))])]
#[case::mail_on_loopback(&[("RESEND_API_BASE", Some("http://127.0.0.1:12111"))])]
#[case::ipv6(&[("HOST", Some("::")), ("PORT", Some("0"))])]
#[case::bounds(&[("RUN_BUDGET_SECONDS", Some("3600")), ("LEASE_TTL_SECONDS", Some("1"))])]
#[case::pretty_logs(&[("LOG_FORMAT", Some("pretty")), ("RUST_LOG", Some("jarvis_cron=debug"))])]
#[case::without_verification(&[
    ("QSTASH_VERIFY", Some("off")),
    ("PUBLIC_URL", None),
    ("QSTASH_CURRENT_SIGNING_KEY", None),
    ("QSTASH_NEXT_SIGNING_KEY", None),
])]
fn what_is_unusual_but_right_is_accepted(#[case] changes: &[(&str, Option<&str>)]) {
    assert_eq!(read(&settings(changes), false), Ok(()));
}

#[test]
fn an_empty_cancellation_reason_sends_none() {
    let reason = |value| {
        let settings = settings(&[("STRIPE_CANCELLATION_REASON", value)]);
        settings.stripe().unwrap().cancellation_reason
    };
    assert_eq!(reason(None).as_deref(), Some("abandoned"));
    assert_eq!(reason(Some("duplicate")).as_deref(), Some("duplicate"));
    assert_eq!(reason(Some("")), None);
}

#[test]
fn dev_accepts_weak_secrets_and_listens_on_this_machine_only() {
    let weak = [
        ("CRON_SECRET", Some("changeme")),
        ("CRON_SECRET_PREVIOUS", None),
        ("OPERATOR_SECRET", Some("ops")),
        (
            "QSTASH_CURRENT_SIGNING_KEY",
            Some("sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r"),
        ),
        (
            "QSTASH_NEXT_SIGNING_KEY",
            Some("sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs"),
        ),
    ];
    assert_eq!(read(&settings(&weak), true), Ok(()));
    assert!(settings(&weak).address(true).unwrap().ip().is_loopback());
    for host in ["0.0.0.0", "::", "10.0.0.7"] {
        let wrong = settings(&[("HOST", Some(host))]).address(true).unwrap_err();
        assert_eq!(wrong.variable, "HOST");
    }
    let empty = settings(&[("CRON_SECRET", Some(""))]).guard(true);
    assert_eq!(empty.unwrap_err().variable, "CRON_SECRET");
}

#[tokio::test]
async fn no_secret_is_ever_printed() {
    let region = (
        "US_EAST_1_QSTASH_CURRENT_SIGNING_KEY",
        "sig_us_current_4Rk8wPz",
    );
    let settings = settings(&[
        ("QSTASH_REGION", Some("US_EAST_1")),
        (region.0, Some(region.1)),
        (
            "US_EAST_1_QSTASH_NEXT_SIGNING_KEY",
            Some("sig_us_next_9TmB3xQ"),
        ),
    ]);
    let printed = format!(
        "{settings:?} {:#?} {:?} {:?} {:?} {:?}",
        settings.guard(false).unwrap(),
        settings.key_ring(false).unwrap(),
        settings.stripe().unwrap(),
        settings.database().unwrap(),
        serve::runner(&settings).unwrap(),
    );
    let secrets = [
        CRON_SECRET,
        PREVIOUS,
        OPERATOR_SECRET,
        CURRENT_KEY,
        NEXT_KEY,
        region.1,
        "sig_us_next_9TmB3xQ",
        STRIPE_KEY,
        "hunter2",
    ];
    let shown: Vec<&str> = secrets
        .into_iter()
        .filter(|secret| printed.contains(secret))
        .collect();
    assert_eq!(shown, Vec::<&str>::new());
}
