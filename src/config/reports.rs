//! The settings of the weekly reports: how they are mailed and linked to.

use std::num::NonZeroU32;

use secrecy::SecretString;

use super::variables::wrong;
use super::{Read, Settings};
use crate::reports::links::PURPOSE;
use crate::signed_links::SignedLinks;
use crate::{outbound, resend};

impl Settings {
    /// `RESEND_API_KEY`, `RESEND_API_BASE`, `RESEND_MAX_RPS`, `REPORT_FROM`.
    ///
    /// # Errors
    /// When one is wrong, or mail has a key and no sender.
    pub fn resend(&self) -> Read<resend::Settings> {
        let key = self.text("RESEND_API_KEY")?;
        if key.is_some_and(|key| !key.starts_with("re_")) {
            return Err(wrong("RESEND_API_KEY", "must begin with re_; or unset it"));
        }
        let base = self.url("RESEND_API_BASE", "https://api.resend.com")?;
        if !outbound::is_safe_for_secrets(&base) {
            return Err(wrong(
                "RESEND_API_BASE",
                "must be an https address: over plain http the key would travel in the clear (only this machine is excepted)",
            ));
        }
        let max_rps = self.number("RESEND_MAX_RPS", 2, 1..=1_000)?;
        Ok(resend::Settings {
            from: self.report_from(key.is_some())?,
            key: key.map(SecretString::from),
            base,
            max_rps: NonZeroU32::new(max_rps).unwrap_or(NonZeroU32::MIN),
        })
    }

    /// What signs links to reports; `None` while there is no
    /// `OPERATOR_SECRET`.
    ///
    /// # Errors
    /// When `OPERATOR_SECRET` or `PUBLIC_URL` is wrong.
    pub fn links(&self) -> Read<Option<SignedLinks>> {
        let public_url = match self.text("PUBLIC_URL")? {
            Some(_) => Some(self.url("PUBLIC_URL", "")?),
            None => None,
        };
        let secret = self.text("OPERATOR_SECRET")?.map(SecretString::from);
        Ok(secret.and_then(|secret| SignedLinks::new(&secret, PURPOSE, public_url)))
    }

    fn report_from(&self, is_needed: bool) -> Read<String> {
        const EXAMPLE: &str = "JARVIS <reports@gym.example>";
        let from = match self.text("REPORT_FROM")? {
            None if is_needed => self.required("REPORT_FROM", EXAMPLE)?,
            None => "",
            Some(from) if from.contains('@') && !from.contains(char::is_control) => from,
            Some(_) => {
                let hint =
                    format!("must be an address of a domain that Resend knows, such as {EXAMPLE}");
                return Err(wrong("REPORT_FROM", &hint));
            }
        };
        Ok(from.to_owned())
    }
}
