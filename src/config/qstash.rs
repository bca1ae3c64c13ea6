//! The settings for calling QStash: the token, the address of its API, and
//! what it calls.

use secrecy::SecretString;

use super::variables::wrong;
use super::{Read, Settings};
use crate::outbound;
use crate::qstash::client;
use crate::qstash::delivery::Destination;

impl Settings {
    /// `QSTASH_TOKEN`, `QSTASH_URL`; with `QSTASH_REGION`, the region's own
    /// come first. `None` without a token.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn qstash(&self) -> Read<Option<client::Settings>> {
        let region = self.region()?;
        for (prefix, host) in [
            region.map(|region| (format!("{region}_"), regional_host(region))),
            Some((String::new(), "https://qstash.upstash.io".to_owned())),
        ]
        .into_iter()
        .flatten()
        {
            let base = self.api(&format!("{prefix}QSTASH_URL"), &host, "token")?;
            if let Some(token) = self.text(&format!("{prefix}QSTASH_TOKEN"))? {
                let token = SecretString::from(token);
                return Ok(Some(client::Settings { token, base }));
            }
        }
        Ok(None)
    }

    /// [`Settings::qstash`], for commands that need it.
    ///
    /// # Errors
    /// When one is unset or wrong.
    pub fn required_qstash(&self) -> Read<client::Settings> {
        self.qstash()?.ok_or_else(|| {
            let own = match self.region() {
                Ok(Some(region)) => format!(" (or {region}_QSTASH_TOKEN)"),
                _ => String::new(),
            };
            wrong(
                "QSTASH_TOKEN",
                format!("{own} is not set; copy it from the QStash console").trim_start(),
            )
        })
    }

    /// [`Settings::destination`], checked for this QStash: neither this machine
    /// nor plain http, unless QStash is a double on this machine, which also
    /// may get weak secrets.
    ///
    /// # Errors
    /// When one is unset or wrong.
    pub fn destination_for(&self, qstash: &client::Settings) -> Read<Destination> {
        let is_double = outbound::is_this_machine(&qstash.base);
        let destination = self.destination(is_double)?;
        let url = self.url("PUBLIC_URL", "")?;
        if is_double {
            return Ok(destination);
        }
        if outbound::is_this_machine(&url) {
            return Err(wrong(
                "PUBLIC_URL",
                "is on this machine, where QStash cannot reach it; set the address that the service has on the internet",
            ));
        }
        if !outbound::is_safe_for_secrets(&url) {
            return Err(wrong(
                "PUBLIC_URL",
                "must be an https address: over plain http CRON_SECRET would travel in the clear",
            ));
        }
        Ok(destination)
    }

    /// `CRON_SECRET_PREVIOUS`.
    ///
    /// # Errors
    /// When it is weak.
    pub fn cron_secret_previous(&self, dev: bool) -> Read<Option<SecretString>> {
        self.secret("CRON_SECRET_PREVIOUS", dev)
    }

    /// `PUBLIC_URL` and `CRON_SECRET`, as QStash gets them.
    ///
    /// # Errors
    /// When one is unset or wrong.
    pub fn destination(&self, dev: bool) -> Read<Destination> {
        Ok(Destination {
            public_url: self.public_url()?,
            cron_secret: self.cron_secret(dev)?,
        })
    }
}

/// QStash's regions have hosts of their own:
/// <https://upstash.com/docs/qstash/howto/multi-region>.
fn regional_host(region: &str) -> String {
    let region = region.to_ascii_lowercase().replace('_', "-");
    format!("https://qstash-{region}.upstash.io")
}
