//! The signing keys as QStash has them:
//! <https://upstash.com/docs/qstash/api-reference/signing-keys/get-signing-keys>.

use reqwest::Method;

use super::{Client, Failure, answer};
use crate::qstash::signature::SigningKeys;

impl Client {
    /// `GET /v2/keys`; a token that may only read can do it.
    ///
    /// # Errors
    /// What QStash, or the way to it, said instead.
    pub async fn keys(&self) -> Result<SigningKeys, Failure> {
        let answer = self.ask(Method::GET, "v2/keys").await?;
        // An error about it must not quote it, so nothing of it is repeated.
        answer::read(answer).map_err(|_| Failure::Unclear("no pair of keys".into()))
    }
}
