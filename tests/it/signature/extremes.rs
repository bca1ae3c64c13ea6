//! What a token may say beside what QStash says: extensions, and ids that no
//! index can hold.

use super::*;
use crate::app::{App, CRON_SECRET, Delivery, JOB, PUBLIC_URL, now};

fn hash(text: &str) -> String {
    format!("sha256:{}", BASE64.encode(Sha256::digest(text)))
}

#[test]
fn a_token_is_known_by_its_id_or_by_its_hash() {
    let id = |jti: Value| judge(&hs256(&claims("jti", jti)), BODY, URL).map(|token| token.jti);
    for kept in ["jwt_7", "é", &"x".repeat(200)] {
        assert_eq!(id(json!(kept)), Ok(kept.to_owned()));
    }
    for hashed in [&"x".repeat(201), &"é".repeat(101), "a\0b", "a\nb", "\u{7f}"] {
        assert_eq!(id(json!(hashed)), Ok(hash(hashed)));
    }
    for missing in [json!(null), json!(""), json!(7)] {
        let token = hs256(&claims("jti", missing.clone()));
        assert_eq!(id(missing), Ok(hash(&token)));
    }
}

#[rstest]
#[case::unknown(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#)]
#[case::b64(r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#)]
#[case::empty(r#"{"alg":"HS256","crit":[]}"#)]
#[case::null(r#"{"alg":"HS256","crit":null}"#)]
#[case::spelled_otherwise(r#"{"alg":"HS256","\u0063rit":["exp"]}"#)]
#[case::no_list(r#"{"alg":"HS256","crit":"exp"}"#)]
fn a_header_with_critical_extensions_is_refused(#[case] header: &str) {
    let part = |part: &str| BASE64.encode(part);
    let message = format!(
        "{}.{}",
        part(header),
        part(&claims("", json!(null)).to_string())
    );
    let mac = Hmac::<Sha256>::new_from_slice(CURRENT_KEY.as_bytes()).unwrap();
    let tag = mac.chain_update(&message).finalize().into_bytes();
    let token = format!("{message}.{}", BASE64.encode(tag));
    let refused = judge(&token, BODY, URL).unwrap_err();
    let reasons = [Rejection::CriticalExtension, Rejection::Malformed];
    assert!(reasons.contains(&refused), "{refused:?}");
}

#[rstest]
#[case::longer_than_an_index_takes("x".repeat(3_000))]
#[case::as_long_as_a_head_allows("é".repeat(8_000))]
#[case::with_a_nul("jwt\0_7".to_owned())]
#[case::of_controls("\u{1}\u{1b}[31m".to_owned())]
#[tokio::test]
async fn a_delivery_with_any_id_runs_once(#[case] jti: String) {
    let app = App::new().await;
    let mut claims = claims("jti", json!(jti));
    claims["sub"] = json!(format!("{PUBLIC_URL}/api/cron/{JOB}"));
    claims["nbf"] = json!(0);
    claims["exp"] = json!(now().timestamp() + 300);
    claims["body"] = json!(BASE64.encode(Sha256::digest("")));
    let once = Delivery {
        token: Some(hs256(&claims)),
        ..Delivery::of(JOB)
    };
    let again = Delivery {
        message_id: "msg_another".to_owned(),
        ..once.clone()
    };
    assert_eq!(once.to(&app).await.outcome(), (200, "succeeded"));
    assert_eq!(again.to(&app).await.outcome(), (200, "replayed"));
    let rows = app.rows("select signature_jti from job_runs").await;
    assert_eq!(rows, json!([{ "signature_jti": hash(&jti) }]));
}

#[tokio::test]
async fn no_text_of_a_caller_is_too_long_or_too_odd_for_the_ledger() {
    let app = App::new().await;
    // As hard to compress as a text can be: an index holds 2,704 bytes.
    let long: String = (0_u32..700)
        .filter_map(|n| char::from_u32(0x2_0000 + n * 7_919 % 40_000))
        .collect();
    let names = ["upstash-schedule-id", "x-actor", "x-reason", "x-request-id"];
    let odd = names
        .iter()
        .fold(Delivery::of(JOB).message(&long), |odd, name| {
            odd.header(name, &long)
        });
    assert_eq!(odd.to(&app).await.outcome(), (200, "succeeded"));
    assert_eq!(odd.to(&app).await.outcome(), (200, "replayed"));
    assert!(
        odd.headers
            .iter()
            .any(|(_, value)| value.ends_with(CRON_SECRET))
    );
}
