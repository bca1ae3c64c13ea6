//! The settings for calling QStash: the token, where its API stands, and
//! what it is told to call.

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
            let address = format!("{prefix}QSTASH_URL");
            let base = self.url(&address, &host)?;
            if !outbound::is_safe_for_secrets(&base) {
                return Err(wrong(
                    &address,
                    "must be an https address: over plain http the token would travel in the clear (only this machine is excepted)",
                ));
            }
            if let Some(token) = self.text(&format!("{prefix}QSTASH_TOKEN"))? {
                let token = SecretString::from(token);
                return Ok(Some(client::Settings { token, base }));
            }
        }
        Ok(None)
    }

    /// `PUBLIC_URL` and `CRON_SECRET`, as QStash is told them.
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
