//! The guard: who is calling, and their verified body.
//!
//! An extractor, so that no handler can see a body that was not verified,
//! and none runs for a caller who was not. Promises: the Bearer secret, and the
//! signature in all but the body's hash, are checked before a byte of the body
//! is read; at most [`MOST_BODY`] of it is read, or [`MOST_CALLBACK`]; secrets
//! are compared in constant time, all of them, even after one matches; every
//! refusal looks the same from outside, and its cause is in our log only.
//! Touches no row.

use axum::RequestExt;
use axum::extract::{FromRequest, FromRequestParts, OriginalUri, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::edge::Peer;
use super::{App, Refusal, now};
use crate::config::{self, Verification};
use crate::engine::{Caller, Trigger};
use crate::foreign_text::ForeignText;
use crate::qstash::signature::{Rejection, Signed};

mod bodies;
mod operator_mutation;

pub(super) use bodies::{Held, Room};
pub(super) use operator_mutation::OperatorMutation;

use bodies::{MOST_BODY, MOST_CALLBACK};

const SIGNATURE: HeaderName = HeaderName::from_static("upstash-signature");

/// A request with a known caller and a verified body. Does not print: its
/// headers hold the secret.
pub(super) struct Verified {
    pub(super) caller: Caller,
    pub(super) body: Held,
    pub(super) headers: HeaderMap,
    pub(super) query: String,
}

impl FromRequest<App> for Verified {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let trigger = who(request.headers(), &app.guard)?;
        Self::read(request, app, trigger, MOST_BODY).await
    }
}

impl Verified {
    async fn read(
        mut request: Request,
        app: &App,
        trigger: Trigger,
        most: usize,
    ) -> Result<Self, Refusal> {
        let Ok(OriginalUri(uri)) = request.extract_parts().await;
        let (parts, body) = request.into_parts();
        let headers = parts.headers;
        let verification = app.guard.verification.as_ref();
        let signed = verification
            .filter(|_| trigger == Trigger::Qstash)
            .map(|verification| signed(&headers, &uri, verification))
            .transpose()?;
        // Before the body: who sends a long one is not to lose their place over it.
        is_known(&parts.extensions);
        let body = app.room.read(&headers, body, most).await?;
        let accepted = signed.map(|signed| signed.covers(&body)).transpose();
        let accepted = accepted.map_err(rejected)?;
        let text = |name| text(&headers, name);
        let caller = match trigger {
            // What QStash says about its delivery:
            // <https://upstash.com/docs/qstash/howto/receiving>.
            Trigger::Qstash => Caller {
                trigger,
                message_id: text("upstash-message-id"),
                schedule_id: text("upstash-schedule-id"),
                jti: accepted.map(|accepted| accepted.jti),
                ..Caller::default()
            },
            _ => Caller {
                trigger,
                actor: text("x-actor"),
                reason: text("x-reason"),
                ..Caller::default()
            },
        };
        let query = uri.query().unwrap_or_default().to_owned();
        Ok(Self {
            caller,
            body,
            headers,
            query,
        })
    }
}

/// A request that only the scheduler may send.
pub(super) struct FromScheduler(pub(super) Verified);

impl FromRequest<App> for FromScheduler {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        match who(request.headers(), &app.guard)? {
            Trigger::Qstash => Verified::read(request, app, Trigger::Qstash, MOST_CALLBACK)
                .await
                .map(Self),
            _ => Err(Refusal::unauthorized("not the scheduler's secret")),
        }
    }
}

/// An operator, as `Bearer` or, in a browser, as `Basic` with the secret as
/// the password. The scheduler's secret opens none of what they read.
pub(super) struct Operator {
    /// Who, as they say: in `X-Actor`, or as the user name of `Basic`.
    pub(super) actor: Option<String>,
}

impl FromRequestParts<App> for Operator {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let refuse = |cause| Refusal::unauthorized(cause).asking_a_browser();
        let value =
            the_only(&parts.headers, &header::AUTHORIZATION).map_err(Refusal::asking_a_browser)?;
        let (user, secret) = bearer(value)
            .map(|secret| (None, secret.to_vec()))
            .or_else(|| basic(value))
            .ok_or_else(|| refuse("neither a secret (Bearer) nor a password (Basic)"))?;
        let expected = app.guard.operator_secret.as_ref();
        let is_operator = expected.is_some_and(|expected| same(&secret, expected).into());
        let actor = text(&parts.headers, "x-actor").or(user);
        if !is_operator {
            return Err(refuse("not the operator's secret"));
        }
        is_known(&parts.extensions);
        Ok(Self { actor })
    }
}

/// Who has this secret as Bearer.
fn who(headers: &HeaderMap, guard: &config::Guard) -> Result<Trigger, Refusal> {
    let bearer = bearer(the_only(headers, &header::AUTHORIZATION)?)
        .ok_or_else(|| Refusal::unauthorized("not of the kind \"Bearer\""))?;
    let is = |secret: Option<&SecretString>| secret.map_or(Choice::from(0), |s| same(bearer, s));
    let scheduler = is(Some(&guard.cron_secret)) | is(guard.cron_secret_previous.as_ref());
    let operator = is(guard.operator_secret.as_ref());
    match (bool::from(scheduler), bool::from(operator)) {
        (true, _) => Ok(Trigger::Qstash),
        (_, true) => Ok(Trigger::Operator),
        _ => Err(Refusal::unauthorized("the secret is unknown")),
    }
}

/// Checks the delivery's signature, but for the body.
fn signed(headers: &HeaderMap, uri: &Uri, verification: &Verification) -> Result<Signed, Refusal> {
    let token = the_only(headers, &SIGNATURE)?;
    let token = std::str::from_utf8(token)
        .map_err(|_| Refusal::unauthorized("the signature is not text"))?;
    let path = uri
        .path_and_query()
        .map_or(uri.path(), |path| path.as_str());
    let url = format!("{}{path}", verification.public_url);
    let keys = verification
        .keys
        .for_region(text(headers, "upstash-region").as_deref());
    Signed::read(token, &url, keys, now(), chrono::Duration::zero()).map_err(rejected)
}

fn rejected(rejection: Rejection) -> Refusal {
    Refusal::unauthorized(&rejection.to_string())
}

/// Tells the edge that this connection carries a credential.
fn is_known(extensions: &Extensions) {
    if let Some(peer) = extensions.get::<Peer>() {
        peer.is_known();
    }
}

/// A header's text; names have accents, so it need not be ASCII.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    short(headers.get(name)?.as_bytes())
}

/// A text as ledger and log take it; none, when nothing is left of it.
fn short(value: &[u8]) -> Option<String> {
    let value = ForeignText::new(&String::from_utf8_lossy(value));
    (!value.is_empty()).then(|| value.into())
}

/// A header that must be there once: a second one is another caller's.
fn the_only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h [u8], Refusal> {
    let refuse = |what| Refusal::unauthorized(&format!("{name} {what}"));
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| refuse("is missing"))?;
    match values.next() {
        None => Ok(value.as_bytes()),
        Some(_) => Err(refuse("is given twice")),
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, secret) = value.split_at_checked("Bearer ".len())?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !secret.is_empty()).then_some(secret)
}

/// User and password of `Basic`: <https://www.rfc-editor.org/rfc/rfc7617>.
fn basic(value: &[u8]) -> Option<(Option<String>, Vec<u8>)> {
    let (scheme, pair) = value.split_at_checked("Basic ".len())?;
    let pair = STANDARD.decode(pair.trim_ascii()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    scheme
        .eq_ignore_ascii_case(b"basic ")
        .then(|| (short(&pair[..colon]), pair[colon + 1..].to_vec()))
}

/// Compares hashes, which are of one length, in constant time.
fn same(given: &[u8], secret: &SecretString) -> Choice {
    Sha256::digest(given).ct_eq(&Sha256::digest(secret.expose_secret()))
}
