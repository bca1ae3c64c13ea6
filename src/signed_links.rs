//! Links that open one page to their holder, until they expire.
//!
//! Owns how a link is signed: HMAC-SHA256 over the expiry and a subject,
//! under a key that is made of one secret for one purpose alone. Links that
//! were signed with a former secret open their page until they expire, for as
//! long as that secret is given. The module of a page decides what its subject
//! is. Pure; the moment is passed in.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use url::Url;

/// Makes links and checks them. Does not print: it holds the key.
#[derive(Clone)]
pub struct SignedLinks {
    mac: Hmac<Sha256>,
    /// What only opens: links that were made before.
    former: Vec<Hmac<Sha256>>,
    public_url: Option<Url>,
}

impl SignedLinks {
    /// Links for `purpose`, signed with the first of `secrets` and opened by
    /// each of them; without `public_url` they can be checked but not made.
    /// `None` without a secret.
    #[must_use]
    pub fn new(secrets: &[SecretString], purpose: &[u8], public_url: Option<Url>) -> Option<Self> {
        let mut macs = secrets.iter().filter_map(|secret| key(secret, purpose));
        Some(Self {
            mac: macs.next()?,
            former: macs.collect(),
            public_url,
        })
    }

    /// The address of `path`, signed for `subject`, good until `expires`;
    /// `None` when it is not known what callers see in front of our paths.
    #[must_use]
    pub fn to(&self, path: &[&str], subject: &str, expires: DateTime<Utc>) -> Option<Url> {
        let mut url = self.public_url.clone()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend(path);
        let expires = expires.timestamp();
        let signature = signed(&self.mac, subject, expires).finalize().into_bytes();
        url.query_pairs_mut()
            .append_pair("expires", &expires.to_string())
            .append_pair("signature", &URL_SAFE_NO_PAD.encode(signature));
        Some(url)
    }

    /// Whether this pair of a query opens `subject` at `now`. Compares in
    /// constant time.
    #[must_use]
    pub fn open(
        &self,
        subject: &str,
        (expires, signature): (&str, &str),
        now: DateTime<Utc>,
    ) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(signature);
        let (Ok(until), Ok(signature)) = (expires.parse::<i64>(), signature) else {
            return false;
        };
        let is_ours = std::iter::once(&self.mac)
            .chain(&self.former)
            .any(|mac| signed(mac, subject, until).verify_slice(&signature).is_ok());
        is_ours && until.to_string() == expires && now.timestamp() < until
    }
}

fn key(secret: &SecretString, purpose: &[u8]) -> Option<Hmac<Sha256>> {
    let secret = secret.expose_secret().as_bytes();
    let mut derive = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    derive.update(purpose);
    Hmac::new_from_slice(&derive.finalize().into_bytes()).ok()
}

fn signed(mac: &Hmac<Sha256>, subject: &str, expires: i64) -> Hmac<Sha256> {
    mac.clone().chain_update(format!("{expires}\n{subject}"))
}

impl fmt::Debug for SignedLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedLinks").finish_non_exhaustive()
    }
}
