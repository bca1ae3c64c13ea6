//! A stand-in for the part of Resend this service talks to, for the demo and the tests.
//!
//! It owns the mails it accepted, in memory, and answers `POST /emails` on a loopback port as
//! resend.com/docs says Resend does, idempotency keys included. It promises that a mail is on
//! record once for each time Resend would have sent it. It sends no mail and forgets no idempotency
//! key; it has a quota, or limits the rate, only when a test says so.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

pub use super::double::Call;
use super::double::{Double, Faults, Shared, cut, response};

/// A running double. It stops listening when this value is dropped.
#[derive(Debug)]
pub struct ResendDouble(Double<Mailbox>);

/// A mail that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are Resend's")]
pub struct Sent {
    pub id: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub html: String,
    pub text: String,
    pub idempotency_key: String,
}

/// One thing that can go wrong with a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This error, and nothing is sent: <https://resend.com/docs/api-reference/errors>.
    Status {
        /// 400 to 599.
        status: u16,
        /// Resend's name of the error.
        name: &'static str,
        /// The `retry-after` header, in seconds.
        retry_after: Option<u64>,
    },
    /// The mail is accepted at once, its answer comes this much later.
    HangAfterEffect(Duration),
    /// The call is handled only after this long, and not at all if its caller has left by then.
    Hang(Duration),
    /// The mail is accepted, then the connection is closed without an answer.
    DisconnectAfterEffect,
    /// 200 with a body that is not JSON, as from a proxy in between; nothing is sent.
    Garbled,
}

impl ResendDouble {
    /// Starts a double on a free port of 127.0.0.1; fails when there is none.
    pub async fn start() -> anyhow::Result<Self> {
        Ok(Self(Double::start("Resend", router).await?))
    }

    /// The base address to use in place of `https://api.resend.com`.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Every mail that was accepted, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.0.state().sent.clone()
    }

    /// Every call so far, in the order they arrived, refused ones included.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.0.state().calls.clone()
    }

    /// Spoils the next call to this recipient; several wait in line.
    pub fn fault(&self, to: &str, fault: Fault) {
        self.0.state().faults.queue(Some(to.to_owned()), fault);
    }

    /// Accepts no more than so many mails in all; `None` is no quota.
    pub fn quota(&self, mails: Option<usize>) {
        self.0.state().quota = mails;
    }

    /// Spoils every call that has no fault of its own, or none any more.
    pub fn always(&self, fault: Option<Fault>) {
        self.0.state().faults.stand(None, fault);
    }
}

/// Everything the double knows.
#[derive(Debug, Default)]
struct Mailbox {
    /// So many mails are accepted today.
    quota: Option<usize>,
    sent: Vec<Sent>,
    calls: Vec<Call>,
    /// By recipient, or for any.
    faults: Faults<Option<String>, Fault>,
    /// The content and the answer of each key.
    keys: HashMap<String, (Value, String)>,
}

/// What Resend answers instead: a status, the name of the error, its message.
type Refusal = (u16, &'static str, String);

fn router(mailbox: Shared<Mailbox>) -> Router {
    Router::new()
        .route("/emails", post(send))
        .route("/_double/emails", get(list))
        .with_state(mailbox)
}

/// `GET /_double/emails`: what was accepted, for those who try the demo.
async fn list(State(mailbox): State<Shared<Mailbox>>) -> Json<Vec<Sent>> {
    Json(mailbox.lock().sent.clone())
}

async fn send(State(mailbox): State<Shared<Mailbox>>, call: Call) -> Response<Body> {
    let mail = read(&call);
    mailbox.lock().calls.push(call);
    let mail = match mail {
        Ok(mail) => mail,
        Err(refusal) => return refuse(refusal, None),
    };
    let concerns = |to: &Option<String>| to.as_ref().is_none_or(|to| *to == mail.to);
    let fault = mailbox.lock().faults.take(concerns);
    match fault {
        Some(Fault::Status {
            status,
            name,
            retry_after,
        }) => {
            let refusal = (status, name, "Scripted by the double.".to_owned());
            return refuse(refusal, retry_after);
        }
        Some(Fault::Garbled) => return "<html>hello</html>".into_response(),
        Some(Fault::Hang(wait)) => tokio::time::sleep(wait).await,
        _ => {}
    }
    let accepted = mailbox.lock().accept(mail);
    match fault {
        Some(Fault::HangAfterEffect(wait)) => tokio::time::sleep(wait).await,
        Some(Fault::DisconnectAfterEffect) => return cut(),
        _ => {}
    }
    match accepted {
        Ok(id) => Json(json!({ "id": id })).into_response(),
        Err(refusal) => refuse(refusal, None),
    }
}

impl Mailbox {
    /// Sends a mail once for each key:
    /// <https://resend.com/docs/dashboard/emails/idempotency-keys>.
    fn accept(&mut self, mut mail: Sent) -> Result<String, Refusal> {
        let key = mail.idempotency_key.clone();
        let content = json!(mail);
        match self.keys.get(&key) {
            Some((known, id)) if *known == content => return Ok(id.clone()),
            Some(_) => {
                let message = "This key was used with another payload.".to_owned();
                return Err((409, "invalid_idempotent_request", message));
            }
            None if self.quota.is_some_and(|quota| self.sent.len() >= quota) => {
                let message = "You have reached your daily email sending quota.".to_owned();
                return Err((429, "daily_quota_exceeded", message));
            }
            None => {}
        }
        mail.id = uuid::Uuid::new_v4().to_string();
        let id = mail.id.clone();
        if !key.is_empty() {
            self.keys.insert(key, (content, id.clone()));
        }
        self.sent.push(mail);
        Ok(id)
    }
}

/// The mail of a call, or what Resend says is wrong with it.
fn read(call: &Call) -> Result<Sent, Refusal> {
    let missing = (401, "missing_api_key", "Missing API key.".to_owned());
    if !call.bearer().ok_or(missing)?.starts_with("re_") {
        return Err((403, "invalid_api_key", "API key is invalid.".to_owned()));
    }
    let idempotency_key = call.header("idempotency-key").unwrap_or_default();
    if idempotency_key.len() > 256 {
        let message = "The key must be between 1 and 256 characters.".to_owned();
        return Err((400, "invalid_idempotency_key", message));
    }
    let body: Value = serde_json::from_str(&call.body)
        .map_err(|error| (400, "validation_error", error.to_string()))?;
    let field = |value: &Value, name: &str| {
        let text = value.as_str().filter(|text| !text.is_empty());
        let message = format!("Missing `{name}` field.");
        text.map(str::to_owned)
            .ok_or((422, "missing_required_field", message))
    };
    let to = &body["to"];
    let mail = Sent {
        id: String::new(),
        from: field(&body["from"], "from")?,
        to: field(if to.is_array() { &to[0] } else { to }, "to")?,
        subject: field(&body["subject"], "subject")?,
        html: field(&body["html"], "html")?,
        text: field(&body["text"], "text")?,
        idempotency_key: idempotency_key.to_owned(),
    };
    let domain = mail.to.split_once('@').map(|(_, domain)| domain);
    let is_address = domain.is_some_and(|domain| domain.contains('.'));
    if !is_address || mail.to.contains(char::is_whitespace) {
        let message = "Invalid `to` field.".to_owned();
        return Err((422, "validation_error", message));
    }
    Ok(mail)
}

fn refuse((status, name, message): Refusal, retry_after: Option<u64>) -> Response<Body> {
    let body = json!({ "statusCode": status, "name": name, "message": message });
    let mut response = response(status, Json(body));
    if let Some(seconds) = retry_after {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
