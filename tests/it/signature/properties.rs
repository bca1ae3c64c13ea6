//! What holds for every token, body and address.

use super::*;

/// A path and query of any kind.
const PATH: &str = "/[a-z0-9/._~%-]{0,40}(\\?[a-z0-9=&%]{0,20})?";

/// The same bytes with some bits of one of them turned over.
fn changed(bytes: &[u8], position: prop::sample::Index, mask: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let position = position.index(bytes.len());
    bytes[position] ^= mask;
    bytes
}

fn changed_text(text: &str, position: prop::sample::Index, mask: u8) -> String {
    String::from_utf8(changed(text.as_bytes(), position, mask)).unwrap()
}

proptest! {
    #[test]
    fn what_is_signed_is_accepted(body: Vec<u8>, path in PATH) {
        let url = format!("https://cron.example.test{path}");
        let token = sign(&CURRENT_KEY.into(), &url, &body, at(NOW)).unwrap();
        prop_assert!(judge(&token, &body, &url).is_ok());
    }

    #[test]
    fn any_changed_byte_of_token_body_or_url_is_refused(
        body in prop::collection::vec(any::<u8>(), 1..200),
        path in PATH,
        position: prop::sample::Index,
        mask in 1..=127_u8,
    ) {
        let url = format!("https://cron.example.test{path}");
        let token = sign(&CURRENT_KEY.into(), &url, &body, at(NOW)).unwrap();
        let other_token = changed_text(&token, position, mask);
        let other_body = changed(&body, position, mask);
        let other_url = changed_text(&url, position, mask);
        prop_assert!(judge(&other_token, &body, &url).is_err(), "{other_token}");
        prop_assert_eq!(judge(&token, &other_body, &url), Err(Rejection::BodyMismatch));
        prop_assert_eq!(judge(&token, &body, &other_url), Err(Rejection::WrongUrl));
    }

    #[test]
    fn a_byte_more_or_less_is_refused(
        body in prop::collection::vec(any::<u8>(), 1..200),
        position: prop::sample::Index,
        byte in 0..=127_u8,
    ) {
        let token = sign(&CURRENT_KEY.into(), URL, &body, at(NOW)).unwrap();
        let mut shorter = body.clone();
        shorter.remove(position.index(body.len()));
        let mut longer = body.clone();
        longer.insert(position.index(body.len()), byte);
        prop_assert_eq!(judge(&token, &shorter, URL), Err(Rejection::BodyMismatch));
        prop_assert_eq!(judge(&token, &longer, URL), Err(Rejection::BodyMismatch));
        let mut longer = token.clone();
        longer.insert(position.index(token.len()), byte.into());
        prop_assert!(judge(&longer, &body, URL).is_err(), "{longer}");
    }

    #[test]
    fn garbage_is_refused_and_nothing_panics(
        text: String,
        bytes: Vec<u8>,
        header in "\\PC{0,20}",
        claims in "[{}\\[\\]\":,a-z0-9.eE+-]{0,40}",
    ) {
        let parts = format!("{}.{}.", BASE64.encode(header), BASE64.encode(claims));
        for token in [text.as_str(), &String::from_utf8_lossy(&bytes), &parts] {
            prop_assert!(judge(token, &bytes, &text).is_err(), "{token}");
        }
    }

    #[test]
    fn any_times_are_judged_and_nothing_panics(exp: f64, nbf: f64, now in -NOW..NOW) {
        let mut claims = claims("exp", json!(exp));
        claims["nbf"] = json!(nbf);
        let keys = keys(CURRENT_KEY, NEXT_KEY);
        let verdict = verify(&hs256(&claims), BODY, URL, &keys, at(now), Duration::zero());
        let seconds = f64::from(i32::try_from(now).unwrap());
        prop_assert_eq!(verdict.is_ok(), exp > seconds && nbf <= seconds);
    }
}

#[test]
fn every_single_bit_of_a_token_counts() {
    let token = hs256(&claims("", json!(null)));
    let accepted: Vec<String> = (0..token.len() * 7)
        .map(|bit| {
            let mut bytes = token.clone().into_bytes();
            bytes[bit / 7] ^= 1 << (bit % 7);
            String::from_utf8(bytes).unwrap()
        })
        .filter(|token| judge(token, BODY, URL).is_ok())
        .collect();

    assert!(judge(&token, BODY, URL).is_ok());
    assert_eq!(accepted, Vec::<String>::new());
}

#[test]
fn a_token_in_any_other_shape_is_refused() {
    let token = hs256(&claims("", json!(null)));
    let parts: Vec<&str> = token.split('.').collect();
    let json = json!({ "protected": parts[0], "payload": parts[1], "signature": parts[2] });
    let shapes = [
        json.to_string(),
        String::new(),
        ".".repeat(1 << 20),
        "A".repeat(1 << 20),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{}", parts[2]),
        format!("{}..{}.{}", parts[0], parts[1], parts[2]),
        format!("{token}{}", "A".repeat(1 << 20)),
        format!("{token}="),
        format!("{token} "),
        format!("Bearer {token}"),
        token.to_ascii_uppercase(),
    ];
    let accepted: Vec<&String> = shapes
        .iter()
        .filter(|shape| judge(shape, BODY, URL).is_ok())
        .collect();

    assert_eq!(accepted, Vec::<&String>::new());
}
