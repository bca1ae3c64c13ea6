//! The signing keys as QStash has them:
//! <https://upstash.com/docs/qstash/api-reference/signing-keys/get-signing-keys>.

use reqwest::Method;
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Client, Failure, answer};
use crate::qstash::signature::SigningKeys;

impl Client {
    /// `GET /v2/keys`; a token that may only read can do it.
    ///
    /// # Errors
    /// What QStash, or the way to it, said instead.
    pub async fn keys(&self) -> Result<SigningKeys, Failure> {
        let nothing = (HeaderMap::new(), String::new());
        let answer = self
            .call(Method::GET, "v2/keys", nothing.0, nothing.1)
            .await?;
        let Keys { current, next } = answer::read(answer).map_err(|_| Failure::Unclear {
            message: "no pair of keys".to_owned(),
        })?;
        Ok(SigningKeys {
            current: SecretString::from(current),
            next: SecretString::from(next),
        })
    }
}

/// An error about it must not quote it, so nothing else is read.
#[derive(Deserialize)]
struct Keys {
    current: String,
    next: String,
}
