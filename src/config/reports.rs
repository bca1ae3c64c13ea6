//! The settings of the weekly reports: how they are mailed and linked to.

use secrecy::{ExposeSecret, SecretString};

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

    /// What signs and opens links to reports: `LINK_SECRET`, or
    /// `OPERATOR_SECRET` while that is unset. Links that were signed with
    /// `LINK_SECRET_PREVIOUS` or `OPERATOR_SECRET` open too. `None` while there
    /// is none of them. Weak secrets are accepted: [`Settings::link_secrets`]
    /// judges them.
    ///
    /// # Errors
    /// When one of them or `PUBLIC_URL` is wrong.
    pub fn links(&self) -> Read<Option<SignedLinks>> {
        let public_url = match self.text("PUBLIC_URL")? {
            Some(_) => Some(self.url("PUBLIC_URL", "")?),
            None => None,
        };
        let own = self.link_secrets(true)?;
        let operators = self.text("OPERATOR_SECRET")?.map(SecretString::from);
        // The first signs; all of them open.
        let secrets: Vec<SecretString> = match own {
            [None, previous] => operators.into_iter().chain(previous).collect(),
            own => own.into_iter().flatten().chain(operators).collect(),
        };
        Ok(SignedLinks::new(&secrets, PURPOSE, public_url))
    }

    /// `LINK_SECRET` and `LINK_SECRET_PREVIOUS`; `dev` accepts weak ones.
    ///
    /// # Errors
    /// When one is weak, or `LINK_SECRET` is another's secret, with which it
    /// would have to change.
    pub fn link_secrets(&self, dev: bool) -> Read<[Option<SecretString>; 2]> {
        let secret = self.secret("LINK_SECRET", dev)?;
        for other in ["OPERATOR_SECRET", "CRON_SECRET"] {
            let own = secret.as_ref().map(ExposeSecret::expose_secret);
            if own.is_some() && own == self.text(other)? {
                let hint = format!(
                    "equals {other}: links would end with it; make another with: openssl rand -hex 32"
                );
                return Err(wrong("LINK_SECRET", &hint));
            }
        }
        Ok([secret, self.secret("LINK_SECRET_PREVIOUS", dev)?])
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
