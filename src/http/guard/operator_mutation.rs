//! A change that an operator asks for, and the body they sent.
//!
//! A browser sends a `Basic` password along by itself, also when a page of
//! another site makes it post a form. So a request that a browser says comes
//! from elsewhere is refused, before its body is read: the rule is that of
//! <https://pkg.go.dev/net/http#CrossOriginProtection>. `Sec-Fetch-Site`
//! decides where it is sent, which is over https and on loopback; else
//! `Origin` has to be our own address; curl sends neither.

use axum::RequestExt;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{Held, MOST_BODY, Operator};
use crate::http::{App, Refusal};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A change that an operator asks for.
pub(in crate::http) struct OperatorMutation {
    /// Who, as they say.
    pub(in crate::http) actor: Option<String>,
    /// What they sent beside the body.
    pub(in crate::http) headers: HeaderMap,
    /// What they sent.
    pub(in crate::http) body: Held,
}

impl FromRequest<App> for OperatorMutation {
    type Rejection = Refusal;

    async fn from_request(mut request: Request, app: &App) -> Result<Self, Refusal> {
        let Operator { actor } = request.extract_parts_with_state(app).await?;
        let (parts, body) = request.into_parts();
        let headers = parts.headers;
        let public_url = app.guard.verification.as_ref().map(|of| &*of.public_url);
        if let Some(cause) = from_elsewhere(&headers, public_url) {
            return Err(Refusal::cross_site(cause));
        }
        let body = app.room.read(&headers, body, MOST_BODY).await?;
        Ok(Self {
            actor,
            headers,
            body,
        })
    }
}

/// Why a request is not our own page's nor a program's, if it is not.
fn from_elsewhere(headers: &HeaderMap, public_url: Option<&str>) -> Option<&'static str> {
    match headers.get(FETCH_SITE).map(HeaderValue::as_bytes) {
        Some(b"same-origin" | b"none") => None,
        Some(_) => Some("Sec-Fetch-Site is not same-origin"),
        None => match headers.get(header::ORIGIN) {
            None => None,
            Some(origin) if is_ours(origin.as_bytes(), headers, public_url) => None,
            Some(_) => Some("Origin is another address"),
        },
    }
}

/// Whether `origin` is what callers see in front of our paths: as configured,
/// or as the browser itself wrote it into `Host`, which no page can forge.
fn is_ours(origin: &[u8], headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let parsed = std::str::from_utf8(origin)
        .ok()
        .and_then(|origin| url::Url::parse(origin).ok());
    let Some(origin) = parsed.map(|url| url.origin()) else {
        return false;
    };
    let configured = public_url.and_then(|url| url::Url::parse(url).ok());
    if configured.is_some_and(|url| url.origin() == origin) {
        return true;
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let written = host.and_then(|host| {
        let scheme = origin.ascii_serialization();
        let (scheme, _) = scheme.split_once("://")?;
        url::Url::parse(&format!("{scheme}://{host}")).ok()
    });
    origin.is_tuple() && written.is_some_and(|url| url.origin() == origin)
}
