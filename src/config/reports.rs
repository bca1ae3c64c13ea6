//! The settings of the weekly reports: how they are mailed and linked to.

use secrecy::SecretString;

use super::variables::wrong;
use super::{Read, Settings};
use crate::reports::links::PURPOSE;
use crate::resend;
use crate::signed_links::SignedLinks;

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
        let base = self.api("RESEND_API_BASE", "https://api.resend.com", "key")?;
        let max_rps = self.rate("RESEND_MAX_RPS", 2, 1_000)?;
        Ok(resend::Settings {
            from: self.report_from(key.is_some())?,
            key: key.map(SecretString::from),
            base,
            max_rps,
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
