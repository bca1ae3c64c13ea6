//! The settings for calling QStash.

use secrecy::ExposeSecret;

use super::*;

const TOKEN: &str = "eyJVc2VySUQiOiJub2JvZHkifQ==";

/// The token and the address that are used.
fn used(changes: &[(&str, Option<&str>)]) -> Option<(String, String)> {
    let qstash = settings(changes).qstash().unwrap()?;
    let base = qstash.base.as_str().trim_end_matches('/').to_owned();
    Some((qstash.token.expose_secret().to_owned(), base))
}

#[rstest]
#[case::europe(&[], "https://qstash.upstash.io")]
#[case::an_address(&[("QSTASH_URL", Some("https://qstash-us-east-1.upstash.io/"))], "https://qstash-us-east-1.upstash.io")]
#[case::this_machine(&[("QSTASH_URL", Some("http://127.0.0.1:8081"))], "http://127.0.0.1:8081")]
#[case::a_region_without_a_token_of_its_own(&[("QSTASH_REGION", Some("US_EAST_1"))], "https://qstash.upstash.io")]
fn the_token_goes_to(#[case] changes: &[(&str, Option<&str>)], #[case] address: &str) {
    let changes = [changes, &[("QSTASH_TOKEN", Some(TOKEN))]].concat();
    assert_eq!(used(&changes), Some((TOKEN.to_owned(), address.to_owned())));
}

#[rstest]
#[case::its_own_host(&[], "https://qstash-us-east-1.upstash.io")]
#[case::its_own_address(&[("US_EAST_1_QSTASH_URL", Some("https://us.example.test"))], "https://us.example.test")]
#[case::not_the_general_one(&[("QSTASH_URL", Some("https://else.example.test"))], "https://qstash-us-east-1.upstash.io")]
fn a_region_s_own_token_comes_first(
    #[case] changes: &[(&str, Option<&str>)],
    #[case] address: &str,
) {
    let own = [
        ("QSTASH_REGION", Some("US_EAST_1")),
        ("US_EAST_1_QSTASH_TOKEN", Some("us-token")),
        ("QSTASH_TOKEN", Some(TOKEN)),
    ];
    let used = used(&[changes, &own].concat());
    assert_eq!(used, Some(("us-token".to_owned(), address.to_owned())));
}

#[test]
fn without_a_token_nobody_is_called() {
    assert_eq!(used(&[]), None);
    let region = [("QSTASH_REGION", Some("US_EAST_1"))];
    let wrong = settings(&region).required_qstash().unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "QSTASH_TOKEN (or US_EAST_1_QSTASH_TOKEN) is not set; copy it from the QStash console"
    );
}

#[rstest]
#[case::empty_token("QSTASH_TOKEN", " ")]
#[case::empty_address("QSTASH_URL", "")]
#[case::plain_http("QSTASH_URL", "http://qstash.upstash.io")]
#[case::plain_http_to_a_lookalike("QSTASH_URL", "http://127.0.0.1.nip.io:8081")]
#[case::with_a_query("QSTASH_URL", "https://qstash.upstash.io/?a=b")]
#[case::of_the_region("US_EAST_1_QSTASH_URL", "http://qstash-us-east-1.upstash.io")]
#[case::empty_token_of_the_region("US_EAST_1_QSTASH_TOKEN", "")]
fn what_cannot_stand_is_refused_by_its_name(#[case] variable: &str, #[case] value: &str) {
    let changes = [
        ("QSTASH_REGION", Some("US_EAST_1")),
        ("QSTASH_TOKEN", Some(TOKEN)),
        (variable, Some(value)),
    ];
    let wrong = settings(&changes).qstash().unwrap_err();
    assert_eq!(wrong.variable, variable);
    assert!(!wrong.to_string().contains(TOKEN), "{wrong}");
}

#[test]
fn the_token_is_never_printed() {
    let qstash = settings(&[("QSTASH_TOKEN", Some(TOKEN))]).qstash().unwrap();
    let printed = format!("{qstash:?}");
    assert!(!printed.contains(TOKEN), "{printed}");
}
