//! The settings of the guard: who may call, and with which secrets.

use secrecy::{ExposeSecret, SecretString};

use super::placeholder::{fault_of_secret, fault_of_signing_key};
use super::variables::wrong;
use super::{Read, Settings};
use crate::qstash::signature::SigningKeys;

/// The regions QStash has: <https://upstash.com/docs/qstash/howto/multi-region>.
const REGIONS: [&str; 2] = ["US_EAST_1", "EU_CENTRAL_1"];

/// Who may call.
#[derive(Debug, Clone)]
pub struct Guard {
    /// What the scheduler sends as its Bearer secret.
    pub cron_secret: SecretString,
    /// The secret before the last rotation, still accepted.
    pub cron_secret_previous: Option<SecretString>,
    /// What operators send; without one there is no operator path.
    pub operator_secret: Option<SecretString>,
    /// How deliveries are checked; `None` when `QSTASH_VERIFY=off`.
    pub verification: Option<Verification>,
}

/// How the signature of a delivery is checked.
#[derive(Debug, Clone)]
pub struct Verification {
    /// What callers see in front of our paths, without a trailing slash.
    pub public_url: String,
    /// The keys QStash may have signed with.
    pub keys: KeyRing,
}

/// The signing keys, by region where regions are configured.
#[derive(Debug, Clone)]
pub struct KeyRing {
    default: SigningKeys,
    by_region: Vec<(&'static str, SigningKeys)>,
}

impl KeyRing {
    /// The keys for a delivery that names `region` in `Upstash-Region`. The
    /// header is not signed, so it may only choose among configured keys.
    #[must_use]
    pub fn for_region(&self, region: Option<&str>) -> &SigningKeys {
        let region = region.map(|region| region.replace('-', "_").to_ascii_uppercase());
        self.by_region
            .iter()
            .find(|(name, _)| Some(*name) == region.as_deref())
            .map_or(&self.default, |(_, keys)| keys)
    }

    /// All keys, with the region they are for where it is not all of them.
    pub fn all(&self) -> impl Iterator<Item = (Option<&'static str>, &SigningKeys)> {
        let by_region = self.by_region.iter();
        std::iter::once((None, &self.default))
            .chain(by_region.map(|(region, keys)| (Some(*region), keys)))
    }

    /// The key that signs now.
    #[must_use]
    pub fn current(&self) -> &SecretString {
        &self.default.current
    }
}

impl Settings {
    /// `CRON_SECRET` and the other secrets; `dev` accepts weak ones.
    ///
    /// # Errors
    /// When one is wrong, or two are the same.
    pub fn guard(&self, dev: bool) -> Read<Guard> {
        let cron_secret = self.cron_secret(dev)?;
        let cron_secret_previous = self.cron_secret_previous(dev)?;
        let operator_secret = self.secret("OPERATOR_SECRET", dev)?;
        if let Some(operator) = &operator_secret {
            let same = |other: &SecretString| other.expose_secret() == operator.expose_secret();
            if same(&cron_secret) || cron_secret_previous.as_ref().is_some_and(same) {
                return Err(wrong(
                    "OPERATOR_SECRET",
                    "equals CRON_SECRET: the scheduler's secret would open the operator's routes too; make another with: openssl rand -hex 32",
                ));
            }
        }
        // Links are signed by what runs jobs, which does not judge secrets.
        self.link_secrets(dev)?;
        Ok(Guard {
            cron_secret,
            cron_secret_previous,
            operator_secret,
            verification: self.verification(dev)?,
        })
    }

    /// `QSTASH_VERIFY`, and what verifying takes; `None` when it is off.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn verification(&self, dev: bool) -> Read<Option<Verification>> {
        match self.text("QSTASH_VERIFY")? {
            Some("off") => Ok(None),
            None | Some("on") => {
                let keys = self.key_ring(dev)?;
                Ok(Some(Verification {
                    public_url: self.public_url()?,
                    keys,
                }))
            }
            Some(_) => Err(wrong("QSTASH_VERIFY", "must be on or off")),
        }
    }

    /// `PUBLIC_URL`: the address that QStash calls, and signs for.
    ///
    /// # Errors
    /// When it is unset or not an address.
    pub fn public_url(&self) -> Read<String> {
        self.required(
            "PUBLIC_URL",
            "https://cron.example.com (the address that QStash calls)",
        )?;
        self.url("PUBLIC_URL", "")?;
        // As it was written: `sub` is compared byte for byte.
        Ok(self
            .text("PUBLIC_URL")?
            .unwrap_or_default()
            .trim_end_matches('/')
            .to_owned())
    }

    /// `CRON_SECRET`.
    ///
    /// # Errors
    /// When it is unset or weak.
    pub fn cron_secret(&self, dev: bool) -> Read<SecretString> {
        self.secret("CRON_SECRET", dev)?.ok_or_else(|| {
            wrong(
                "CRON_SECRET",
                "is not set; make one with: openssl rand -hex 32",
            )
        })
    }

    /// The signing keys, and those of the regions when `QSTASH_REGION` is set.
    ///
    /// # Errors
    /// When one is missing, empty or public.
    pub fn key_ring(&self, dev: bool) -> Read<KeyRing> {
        let default = self.signing_keys("", dev)?.ok_or_else(|| {
            wrong(
                "QSTASH_CURRENT_SIGNING_KEY",
                "and QSTASH_NEXT_SIGNING_KEY are needed; copy both from the QStash console, or set QSTASH_VERIFY=off for a scheduler that cannot sign",
            )
        })?;
        let mut by_region = Vec::new();
        if self.region()?.is_some() {
            for region in REGIONS {
                if let Some(keys) = self.signing_keys(&format!("{region}_"), dev)? {
                    by_region.push((region, keys));
                }
            }
        }
        Ok(KeyRing { default, by_region })
    }

    /// `QSTASH_REGION`.
    ///
    /// # Errors
    /// When QStash has no such region.
    pub fn region(&self) -> Read<Option<&str>> {
        match self.text("QSTASH_REGION")? {
            Some(region) if !REGIONS.contains(&region) => {
                Err(wrong("QSTASH_REGION", "must be US_EAST_1 or EU_CENTRAL_1"))
            }
            region => Ok(region),
        }
    }

    /// Both keys with this prefix, or neither.
    fn signing_keys(&self, prefix: &str, dev: bool) -> Read<Option<SigningKeys>> {
        let [current, next] =
            ["CURRENT", "NEXT"].map(|which| format!("{prefix}QSTASH_{which}_SIGNING_KEY"));
        let key = |name| self.checked(name, dev, fault_of_signing_key);
        let missing = match (key(&current)?, key(&next)?) {
            (Some(current), Some(next)) => return Ok(Some(SigningKeys { current, next })),
            (None, None) => return Ok(None),
            (None, _) => current,
            (_, None) => next,
        };
        let hint = "is not set; QStash's keys come in pairs, current and next";
        Err(wrong(&missing, hint))
    }

    pub(super) fn secret(&self, name: &str, dev: bool) -> Read<Option<SecretString>> {
        self.checked(name, dev, fault_of_secret)
    }

    /// A secret in which `fault` finds nothing; `dev` does not look.
    fn checked(
        &self,
        name: &str,
        dev: bool,
        fault: fn(&str) -> Option<&'static str>,
    ) -> Read<Option<SecretString>> {
        let secret = self.text(name)?;
        match secret.filter(|_| !dev).and_then(fault) {
            Some(fault) => Err(wrong(name, fault)),
            None => Ok(secret.map(SecretString::from)),
        }
    }
}
