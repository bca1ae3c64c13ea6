//! Links that open one page to their holder, until they expire.
//!
//! Owns how a link is signed: HMAC-SHA256 over the expiry and a subject,
//! under a key that is derived from a secret for one purpose alone. So there
//! is no further secret to keep, and a new secret ends every link. The module
//! of a page decides what its subject is. Pure; the moment is passed in.

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
    public_url: Option<Url>,
}

impl SignedLinks {
    /// Links under a key derived from `secret` for `purpose`; without
    /// `public_url` they can be checked but not made. `None` when there is no
    /// such key.
    #[must_use]
    pub fn new(secret: &SecretString, purpose: &[u8], public_url: Option<Url>) -> Option<Self> {
        let secret = secret.expose_secret().as_bytes();
        let mut derive = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        derive.update(purpose);
        let mac = Hmac::new_from_slice(&derive.finalize().into_bytes()).ok()?;
        Some(Self { mac, public_url })
    }

    /// The address of `path`, signed for `subject`, good until `expires`;
    /// `None` when it is not known what callers see in front of our paths.
    #[must_use]
    pub fn to(&self, path: &[&str], subject: &str, expires: DateTime<Utc>) -> Option<Url> {
        let mut url = self.public_url.clone()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend(path);
        let expires = expires.timestamp();
        let signature = self.signed(subject, expires).finalize().into_bytes();
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
        let is_ours = self.signed(subject, until).verify_slice(&signature);
        is_ours.is_ok() && until.to_string() == expires && now.timestamp() < until
    }

    fn signed(&self, subject: &str, expires: i64) -> Hmac<Sha256> {
        self.mac
            .clone()
            .chain_update(format!("{expires}\n{subject}"))
    }
}

impl fmt::Debug for SignedLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedLinks").finish_non_exhaustive()
    }
}
