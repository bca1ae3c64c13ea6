//! How this process calls others over HTTP: one TLS stack, no redirects, no
//! proxies from the environment, a limit on every wait and on what is read, and
//! so many tries.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use backon::ExponentialBuilder;
use url::{Host, Url};

use crate::foreign_text::ForeignText;

/// How long one call to an API may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pause between tries; a longer `Retry-After` is left to a
/// later run.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// The longest answer that is read, in bytes.
const MOST_ANSWER: usize = 1024 * 1024;
/// How often one call is made at the most.
const TRIES: usize = 3;

/// Whether a new call may begin: jobs pass their budget.
pub type MayBegin<'a> = &'a (dyn Fn() -> bool + Sync);

/// A client whose calls end within `timeout`.
///
/// The CA roots are inside the binary, because the image holds no files.
///
/// # Errors
/// When the TLS stack cannot be set up.
pub fn client(timeout: Duration) -> anyhow::Result<reqwest::Client> {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("set up TLS")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .timeout(timeout)
        .user_agent(concat!("jarvis-cron/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("set up the HTTP client")
}

/// The pauses between the tries of one call.
#[must_use]
pub fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(LONGEST_PAUSE)
        .with_max_times(TRIES - 1)
        .with_jitter()
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It did not come, or not all of it.
    #[error("{}", in_words(.0))]
    Broken(#[from] reqwest::Error),
    /// It is longer than any answer is.
    #[error("an answer of over {} KiB is no answer", MOST_ANSWER / 1024)]
    TooLong,
}

/// The body of an answer as text; nothing of a longer one is kept, and its rest
/// is not read.
///
/// # Errors
/// When it breaks off, or is too long.
pub async fn body(mut answer: reqwest::Response) -> Result<String, BodyError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MOST_ANSWER {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// An error of the network in a few words, without the address: its innermost
/// cause, such as a name, a refused connection or a certificate, which may quote
/// the other side.
#[must_use]
pub fn in_words(error: &reqwest::Error) -> ForeignText {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    ForeignText::new(&cause.to_string())
}

/// Whether a secret may travel to `url`: https, or plain http to this machine.
#[must_use]
pub fn is_safe_for_secrets(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(url))
}

/// Whether `url` leads to this machine.
#[must_use]
pub fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
