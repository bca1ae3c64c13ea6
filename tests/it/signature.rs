//! The signature of a delivery: official vectors, properties, and the reason of every rejection.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::{DateTime, Duration, Utc};
use hmac::{Hmac, KeyInit, Mac};
use jarvis_cron::qstash::signature::{Accepted, Rejection, SigningKeys, sign, verify};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

use crate::app::{CURRENT_KEY, NEXT_KEY};

mod extremes;
mod properties;

const URL: &str = "https://cron.example.test/api/cron/digest?limit=5";
const BODY: &[u8] = br#"{"limit":5}"#;
/// A moment in May 2026.
const NOW: i64 = 1_780_000_000;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn keys(current: &str, next: &str) -> SigningKeys {
    SigningKeys {
        current: current.into(),
        next: next.into(),
    }
}

fn judge(token: &str, body: &[u8], url: &str) -> Result<Accepted, Rejection> {
    let keys = keys(CURRENT_KEY, NEXT_KEY);
    verify(token, body, url, &keys, at(NOW), Duration::zero())
}

/// What a token of QStash's says, with one claim changed; null removes it.
fn claims(name: &str, value: Value) -> Value {
    let mut claims = json!({
        "iss": "Upstash", "sub": URL, "exp": NOW + 300, "nbf": NOW, "iat": NOW,
        "jti": "jwt_1", "body": BASE64.encode(Sha256::digest(BODY)),
    });
    match value {
        Value::Null => {
            claims.as_object_mut().unwrap().remove(name);
        }
        value => claims[name] = value,
    }
    claims
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let part = |part: &Value| BASE64.encode(part.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// Signed with HMAC-SHA-256, whatever the header says.
fn craft(header: &Value, claims: &Value) -> String {
    let message = unsigned(header, claims);
    let mac = Hmac::<Sha256>::new_from_slice(CURRENT_KEY.as_bytes()).unwrap();
    let tag = mac.chain_update(&message).finalize().into_bytes();
    format!("{message}.{}", BASE64.encode(tag))
}

fn hs256(claims: &Value) -> String {
    craft(&json!({ "alg": "HS256", "typ": "JWT" }), claims)
}

fn hs512(claims: &Value) -> String {
    let message = unsigned(&json!({ "alg": "HS512", "typ": "JWT" }), claims);
    let mac = Hmac::<Sha512>::new_from_slice(CURRENT_KEY.as_bytes()).unwrap();
    let tag = mac.chain_update(&message).finalize().into_bytes();
    format!("{message}.{}", BASE64.encode(tag))
}

#[test]
fn every_vector_of_the_official_receivers_is_judged_as_expected() {
    let file: Value = serde_json::from_str(include_str!("fixtures/qstash-vectors.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let wrong: Vec<String> = vectors
        .iter()
        .filter_map(|vector| {
            let text = |field: &str| vector[field].as_str().unwrap();
            let keys = keys(text("current_signing_key"), text("next_signing_key"));
            let body = text("body").as_bytes();
            let url = vector["url"].as_str().unwrap_or(URL);
            let tolerance = Duration::seconds(vector["clock_tolerance_s"].as_i64().unwrap());
            let verdict = verify(text("signature"), body, url, &keys, at(NOW), tolerance);
            let is_right = verdict.is_ok() == (text("expect") == "accept");
            (!is_right).then(|| format!("{}: {verdict:?}", text("id")))
        })
        .collect();

    assert_eq!((vectors.len(), wrong), (27, Vec::new()));
}

#[rstest]
#[case::wrong_issuer("iss", json!("upstash"), Rejection::WrongIssuer)]
#[case::missing_issuer("iss", json!(null), Rejection::WrongIssuer)]
#[case::missing_expiry("exp", json!(null), Rejection::MissingExpiry)]
#[case::expired("exp", json!(NOW), Rejection::Expired)]
#[case::expired_before_1970("exp", json!(-1e300), Rejection::Expired)]
#[case::expiry_as_text("exp", json!("4102444800"), Rejection::Malformed)]
#[case::not_yet_valid("nbf", json!(NOW + 1), Rejection::NotYetValid)]
#[case::never_valid("nbf", json!(1e300), Rejection::NotYetValid)]
#[case::begin_as_text("nbf", json!("0"), Rejection::Malformed)]
#[case::other_path("sub", json!("https://cron.example.test/api/cron/other"), Rejection::WrongUrl)]
#[case::no_query("sub", json!("https://cron.example.test/api/cron/digest"), Rejection::WrongUrl)]
#[case::missing_url("sub", json!(null), Rejection::WrongUrl)]
#[case::missing_body_hash("body", json!(null), Rejection::MissingBodyHash)]
#[case::empty_body_hash("body", json!(""), Rejection::BodyMismatch)]
#[case::hash_inside_padding("body", json!("=="), Rejection::BodyMismatch)]
fn each_wrong_claim_has_a_reason_of_its_own(
    #[case] claim: &str,
    #[case] value: Value,
    #[case] reason: Rejection,
) {
    assert_eq!(judge(&hs256(&claims(claim, value)), BODY, URL), Err(reason));
}

#[rstest]
#[case::begin_absent("nbf", json!(null))]
#[case::begin_of_time("nbf", json!(0))]
#[case::begin_before_time("nbf", json!(-1e300))]
#[case::begin_now("nbf", json!(NOW))]
#[case::last_second("exp", json!(NOW + 1))]
#[case::no_end("exp", json!(1e300))]
#[case::largest_number("exp", json!(u64::MAX))]
#[case::audience("aud", json!(["another", "audience"]))]
#[case::made_in_the_future("iat", json!(NOW + 9_999))]
#[case::made_at_no_time("iat", json!("yesterday"))]
#[case::id_of_another_type("jti", json!(7))]
#[case::unknown_claim("region", json!({ "name": "eu" }))]
fn what_qstash_may_say_differently_is_accepted(#[case] claim: &str, #[case] value: Value) {
    let verdict = judge(&hs256(&claims(claim, value)), BODY, URL);
    assert!(verdict.is_ok(), "{verdict:?}");
}

#[rstest]
#[case::exactly_as_long_expired("exp", NOW - 10, Some(Rejection::Expired))]
#[case::a_second_less_expired("exp", NOW - 9, None)]
#[case::exactly_as_early("nbf", NOW + 10, None)]
#[case::a_second_earlier("nbf", NOW + 11, Some(Rejection::NotYetValid))]
fn ten_seconds_of_tolerance_are_ten(
    #[case] claim: &str,
    #[case] value: i64,
    #[case] refused: Option<Rejection>,
) {
    let token = hs256(&claims(claim, value.into()));
    let keys = keys(CURRENT_KEY, NEXT_KEY);
    let verdict = verify(&token, BODY, URL, &keys, at(NOW), Duration::seconds(10));
    assert_eq!(verdict.err(), refused);
}

#[test]
fn only_hs256_is_accepted() {
    let claims = claims("", json!(null));
    let none = json!({ "alg": "none", "typ": "JWT" });
    let tokens = [
        hs512(&claims),
        craft(&json!({ "alg": "HS384" }), &claims),
        craft(&none, &claims),
        format!("{}.", unsigned(&none, &claims)),
    ];
    assert_eq!(
        tokens.map(|token| judge(&token, BODY, URL)),
        [const { Err(Rejection::WrongAlgorithm) }; 4]
    );
}

#[rstest]
#[case::by_the_current_key(CURRENT_KEY, Ok(false))]
#[case::by_the_next_key(NEXT_KEY, Ok(true))]
#[case::by_another_key("sig_another_2Wd8sKq", Err(Rejection::BadSignature))]
fn the_current_key_is_tried_and_then_the_next(
    #[case] key: &str,
    #[case] by_next_key: Result<bool, Rejection>,
) {
    let token = sign(&key.into(), URL, BODY, at(NOW)).unwrap();
    let verdict = judge(&token, BODY, URL).map(|accepted| accepted.by_next_key);
    assert_eq!(verdict, by_next_key);
}

#[test]
fn an_expired_token_of_the_current_key_reads_expired_not_badly_signed() {
    let token = sign(&CURRENT_KEY.into(), URL, BODY, at(NOW - 300)).unwrap();
    assert_eq!(judge(&token, BODY, URL), Err(Rejection::Expired));
}

#[test]
fn an_empty_key_signs_nothing_and_accepts_nothing() {
    assert!(sign(&"".into(), URL, BODY, at(NOW)).is_err());
    let token = hs256(&claims("", json!(null)));
    let verdict = verify(&token, BODY, URL, &keys("", ""), at(NOW), Duration::zero());
    assert_eq!(verdict, Err(Rejection::BadSignature));
}
