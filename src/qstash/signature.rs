//! The signature QStash puts on every delivery, checked and made.
//!
//! Pure: token, body, address, keys and the time go in; a verdict comes
//! out. No clock, no environment, no I/O, and nothing panics on any input.
//! It does not remember spent tokens; the ledger does.
//!
//! The rules are those of <https://upstash.com/docs/qstash/features/security>,
//! made stricter where the official receivers differ: HS256 only, `iss` and
//! `exp` required, `nbf` checked when present, `sub` always compared.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

mod hs256;

/// The issuer every QStash token names.
const ISSUER: &str = "Upstash";

/// How long a token lives: QStash signs each attempt anew for five minutes.
const LIFETIME: Duration = Duration::minutes(5);

/// The longest `jti` that is kept as it is, in bytes; QStash's have 40.
const LONGEST_ID: usize = 200;

/// The two keys a receiver holds, so that one roll of the keys refuses no
/// delivery: <https://upstash.com/docs/qstash/howto/roll-signing-keys>.
#[derive(Debug, Clone, Deserialize)]
pub struct SigningKeys {
    /// The key QStash signs with now.
    pub current: SecretString,
    /// The key QStash will sign with after the next roll.
    pub next: SecretString,
}

/// What an accepted token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The token's own id, spent with its first run.
    ///
    /// An id that no column or index can hold is known by its hash, and a
    /// token without one by the hash of the whole token, so that it too runs
    /// only once.
    pub jti: String,
    /// Whether the next key, not the current one, had signed it.
    pub by_next_key: bool,
}

/// Why a token was refused: for our log and for `verify`, never for the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not a compact JWS with a readable header and claims.
    #[error("malformed: not a JWT with the claims QStash sets")]
    Malformed,
    /// The header names another algorithm.
    #[error("wrong algorithm: only HS256 is accepted")]
    WrongAlgorithm,
    /// The header has extensions that the receiver must understand, and there
    /// is none that we do: <https://www.rfc-editor.org/rfc/rfc7515#section-4.1.11>.
    #[error("critical extension: the header has crit, and no extension is understood")]
    CriticalExtension,
    /// Neither key made this signature.
    #[error("bad signature: made with neither the current nor the next signing key")]
    BadSignature,
    /// `iss` is missing or not `Upstash`.
    #[error("wrong issuer: iss is not \"Upstash\"")]
    WrongIssuer,
    /// `exp` is missing.
    #[error("no expiry: exp is missing")]
    MissingExpiry,
    /// `exp` has passed.
    #[error("expired: exp has passed")]
    Expired,
    /// `nbf` lies ahead.
    #[error("not yet valid: nbf lies ahead of our clock")]
    NotYetValid,
    /// `sub` is another address than the one called.
    #[error("wrong url: sub is not PUBLIC_URL plus the path and query that were called")]
    WrongUrl,
    /// The `body` claim is missing.
    #[error("no body hash: the body claim is missing")]
    MissingBodyHash,
    /// The `body` claim is the hash of another body.
    #[error("body mismatch: the body is not the one that was signed")]
    BodyMismatch,
}

/// The claims that are checked; `iat`, `aud` and all others are ignored.
#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    jti: Option<Value>,
    body: Option<String>,
}

/// Checks one token against the raw `body` and the public `url` it was sent to.
///
/// The current key is tried first, then the next. `tolerance` widens `exp`
/// and `nbf` by that much clock skew.
pub fn verify(
    token: &str,
    body: &[u8],
    url: &str,
    keys: &SigningKeys,
    now: DateTime<Utc>,
    tolerance: Duration,
) -> Result<Accepted, Rejection> {
    Signed::read(token, url, keys, now, tolerance)?.covers(body)
}

/// A token that is right in all but the body, which may still have to come.
#[derive(Debug)]
pub struct Signed {
    accepted: Accepted,
    body: String,
}

impl Signed {
    /// Checks what can be checked without the body, as [`verify`] does.
    pub fn read(
        token: &str,
        url: &str,
        keys: &SigningKeys,
        now: DateTime<Utc>,
        tolerance: Duration,
    ) -> Result<Self, Rejection> {
        let (claims, by_next_key) = match decode(token, &keys.current) {
            Err(Rejection::BadSignature) => (decode(token, &keys.next)?, true),
            decoded => (decoded?, false),
        };
        check_claims(&claims, now, tolerance)?;
        if claims.sub.as_deref() != Some(url) {
            return Err(Rejection::WrongUrl);
        }
        let jti = match claims.jti {
            Some(Value::String(jti)) if can_be_kept(&jti) => jti,
            Some(Value::String(jti)) if !jti.is_empty() => hash(&jti),
            _ => hash(token),
        };
        Ok(Self {
            accepted: Accepted { jti, by_next_key },
            body: claims.body.ok_or(Rejection::MissingBodyHash)?,
        })
    }

    /// Checks the body. QStash's own sample pads the hash with `=`, its SDKs
    /// do not: both pass.
    pub fn covers(self, body: &[u8]) -> Result<Accepted, Rejection> {
        let is_signed = self.body.trim_end_matches('=') == body_hash(body);
        is_signed
            .then_some(self.accepted)
            .ok_or(Rejection::BodyMismatch)
    }
}

/// Signs `body` for `url` as QStash would at `now`, with a fresh `jti`.
///
/// Fails only when the key is empty.
pub fn sign(
    key: &SecretString,
    url: &str,
    body: &[u8],
    now: DateTime<Utc>,
) -> anyhow::Result<String> {
    hs256::install();
    anyhow::ensure!(!key.expose_secret().is_empty(), "the signing key is empty");
    let claims = json!({
        "iss": ISSUER,
        "sub": url,
        "exp": (now + LIFETIME).timestamp(),
        "nbf": 0,
        "iat": now.timestamp(),
        "jti": format!("jwt_{}", uuid::Uuid::now_v7().simple()),
        "body": body_hash(body),
    });
    let key = EncodingKey::from_secret(key.expose_secret().as_bytes());
    let header = Header::new(Algorithm::HS256);
    Ok(jsonwebtoken::encode(&header, &claims, &key)?)
}

/// Reads the claims of a token that `key` signed.
fn decode(token: &str, key: &SecretString) -> Result<Claims, Rejection> {
    hs256::install();
    if key.expose_secret().is_empty() {
        return Err(Rejection::BadSignature);
    }
    // Times and issuer are checked below against the caller's clock, which
    // jsonwebtoken would read from the system.
    let mut rules = Validation::new(Algorithm::HS256);
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    rules.validate_aud = false;
    let key = DecodingKey::from_secret(key.expose_secret().as_bytes());
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &rules)
        .map(|token| token.claims)
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Rejection::BadSignature,
            _ if names_another_algorithm(token) => Rejection::WrongAlgorithm,
            _ => Rejection::Malformed,
        })?;
    match header(token) {
        Some(header) if header.get("crit").is_some() => Err(Rejection::CriticalExtension),
        _ => Ok(claims),
    }
}

/// Any other algorithm, also one that `jsonwebtoken` does not know, such as
/// `none`.
fn names_another_algorithm(token: &str) -> bool {
    header(token).is_some_and(|header| header["alg"].as_str().is_some_and(|alg| alg != "HS256"))
}

/// The token's header as it is: `jsonwebtoken` takes a `crit` of null for none.
fn header(token: &str) -> Option<Value> {
    let part = token.split('.').next()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

fn check_claims(claims: &Claims, now: DateTime<Utc>, tolerance: Duration) -> Result<(), Rejection> {
    if claims.iss.as_deref() != Some(ISSUER) {
        return Err(Rejection::WrongIssuer);
    }
    let exp = claims.exp.ok_or(Rejection::MissingExpiry)?;
    if exp <= seconds(now - tolerance) {
        return Err(Rejection::Expired);
    }
    if claims.nbf.is_some_and(|nbf| nbf > seconds(now + tolerance)) {
        return Err(Rejection::NotYetValid);
    }
    Ok(())
}

fn body_hash(body: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(body))
}

/// Whether a column and an index can hold this id as it is.
fn can_be_kept(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && !id.contains(char::is_control)
}

/// What is known by its hash only.
fn hash(text: &str) -> String {
    format!("sha256:{}", URL_SAFE_NO_PAD.encode(Sha256::digest(text)))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "unix seconds stay far below 2^53"
)]
fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp() as f64
}
