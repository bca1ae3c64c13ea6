//! Links that open one report for whoever holds them, until they expire.
//!
//! Owns how a link is signed: HMAC-SHA256 over the gym's slug, the week and
//! the expiry, under a key that is derived from `OPERATOR_SECRET` for this
//! purpose alone. So there is no further secret to keep, and a new
//! `OPERATOR_SECRET` ends every link. One link opens the page, the JSON and
//! the CSV, in either language. Pure; the moment is passed in.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use url::Url;

use super::week::IsoWeek;

/// What the key is for: a signature for anything else will not match.
const PURPOSE: &[u8] = b"jarvis-cron: links to weekly reports, version 1";

/// Makes links and checks them. Does not print: it holds the key.
#[derive(Clone)]
pub struct Links {
    mac: Hmac<Sha256>,
    public_url: Option<Url>,
}

impl Links {
    /// Links under a key derived from `operator_secret`; without `public_url`
    /// they can be checked but not made. `None` when there is no such key.
    #[must_use]
    pub fn new(operator_secret: &SecretString, public_url: Option<Url>) -> Option<Self> {
        let secret = operator_secret.expose_secret().as_bytes();
        let mut derive = Hmac::<Sha256>::new_from_slice(secret).ok()?;
        derive.update(PURPOSE);
        let mac = Hmac::new_from_slice(&derive.finalize().into_bytes()).ok()?;
        Some(Self { mac, public_url })
    }

    /// The address of a report's page, good until `expires`; `None` when it is
    /// not known what callers see in front of our paths.
    #[must_use]
    pub fn to(&self, slug: &str, week: IsoWeek, expires: DateTime<Utc>) -> Option<Url> {
        let mut url = self.public_url.clone()?;
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(["reports", slug, &week.to_string()]);
        let expires = expires.timestamp();
        let signature = self.signed(slug, week, expires).finalize().into_bytes();
        url.query_pairs_mut()
            .append_pair("expires", &expires.to_string())
            .append_pair("signature", &URL_SAFE_NO_PAD.encode(signature));
        Some(url)
    }

    /// Whether these words of a query open this report at `now`. Compares in
    /// constant time.
    #[must_use]
    pub fn open(
        &self,
        slug: &str,
        week: IsoWeek,
        (expires, signature): (&str, &str),
        now: DateTime<Utc>,
    ) -> bool {
        let Ok(until) = expires.parse::<i64>() else {
            return false;
        };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        let is_ours = self.signed(slug, week, until).verify_slice(&signature);
        is_ours.is_ok() && until.to_string() == expires && now.timestamp() < until
    }

    /// What is signed: the slug stands last, because it alone may hold any
    /// character.
    fn signed(&self, slug: &str, week: IsoWeek, expires: i64) -> Hmac<Sha256> {
        self.mac
            .clone()
            .chain_update(format!("{expires}\n{week}\n{slug}"))
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}
