//! The way of a call: authorized, checked, held by its key, accepted, answered.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router, extract};
use serde_json::{Value, json};

use super::{Fault, Sent};

/// The double's state, shared by its owner and all connections.
pub(super) type Shared = Arc<Mutex<State>>;

/// Everything the double knows.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) sent: Vec<Sent>,
    pub(super) calls: Vec<Instant>,
    pub(super) faults: HashMap<String, VecDeque<Fault>>,
    pub(super) standing: Option<Fault>,
    /// The content and the answer of each key.
    keys: HashMap<String, (Value, String)>,
}

/// The state; a test that failed while holding it has not harmed it.
pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn router(state: Shared) -> Router {
    Router::new()
        .route("/emails", post(send))
        .route("/_double/emails", get(list))
        .with_state(state)
}

/// `GET /_double/emails`: what was accepted, for whoever tries the demo.
async fn list(extract::State(state): extract::State<Shared>) -> Json<Vec<Sent>> {
    Json(lock(&state).sent.clone())
}

type Answer = Result<String, (u16, &'static str, String)>;

async fn send(
    extract::State(state): extract::State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    lock(&state).calls.push(Instant::now());
    let mail = match read(&headers, &body) {
        Ok(mail) => mail,
        Err(refusal) => return written(Err(refusal), None),
    };
    let fault = lock(&state).fault_for(&mail);
    match &fault {
        Some(Fault::Status {
            status,
            name,
            retry_after,
        }) => {
            let refusal = (*status, *name, "Scripted by the double.".to_owned());
            return written(Err(refusal), *retry_after);
        }
        Some(Fault::Garbled) => return "<html>hello</html>".into_response(),
        Some(Fault::Hang(wait)) => tokio::time::sleep(*wait).await,
        _ => {}
    }
    let answer = lock(&state).accept(mail);
    match fault {
        Some(Fault::HangAfterEffect(wait)) => tokio::time::sleep(wait).await,
        Some(Fault::DisconnectAfterEffect) => return cut(),
        _ => {}
    }
    written(answer, None)
}

impl State {
    fn fault_for(&mut self, mail: &Sent) -> Option<Fault> {
        let own = self.faults.get_mut(&mail.to).and_then(VecDeque::pop_front);
        own.or_else(|| self.standing.clone())
    }

    /// Sends a mail once for each key:
    /// <https://resend.com/docs/dashboard/emails/idempotency-keys>.
    fn accept(&mut self, mut mail: Sent) -> Answer {
        let key = mail.idempotency_key.clone();
        let content = json!(mail);
        match self.keys.get(&key) {
            Some((known, id)) if *known == content => return Ok(id.clone()),
            Some(_) => {
                let words = "This key was used with another payload.".to_owned();
                return Err((409, "invalid_idempotent_request", words));
            }
            None => {}
        }
        mail.id = uuid::Uuid::new_v4().to_string();
        if !key.is_empty() {
            self.keys.insert(key, (content, mail.id.clone()));
        }
        let id = mail.id.clone();
        self.sent.push(mail);
        Ok(id)
    }
}

/// The mail of a call, or what Resend says is wrong with it.
fn read(headers: &HeaderMap, body: &[u8]) -> Result<Sent, (u16, &'static str, String)> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let key =
        header(header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    match key {
        None => return Err((401, "missing_api_key", "Missing API key.".to_owned())),
        Some(key) if !key.starts_with("re_") => {
            return Err((403, "invalid_api_key", "API key is invalid.".to_owned()));
        }
        Some(_) => {}
    }
    let idempotency_key = header("idempotency-key").unwrap_or_default().to_owned();
    if idempotency_key.len() > 256 {
        let words = "The key must be between 1 and 256 characters.".to_owned();
        return Err((400, "invalid_idempotency_key", words));
    }
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| (400, "validation_error", error.to_string()))?;
    let to = &body["to"];
    let field = |value: &Value, name: &str| {
        let words = format!("Missing `{name}` field.");
        let text = value
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned);
        text.ok_or((422, "missing_required_field", words))
    };
    let mail = Sent {
        id: String::new(),
        from: field(&body["from"], "from")?,
        to: field(if to.is_array() { &to[0] } else { to }, "to")?,
        subject: field(&body["subject"], "subject")?,
        html: field(&body["html"], "html")?,
        text: field(&body["text"], "text")?,
        idempotency_key,
    };
    let is_address = mail
        .to
        .split_once('@')
        .is_some_and(|(_, domain)| domain.contains('.'));
    if !is_address || mail.to.contains(char::is_whitespace) {
        let words = "Invalid `to` field.".to_owned();
        return Err((422, "validation_error", words));
    }
    Ok(mail)
}

fn written(answer: Answer, retry_after: Option<u64>) -> Response<Body> {
    let (status, body) = match answer {
        Ok(id) => (200, json!({ "id": id })),
        Err((status, name, message)) => (
            status,
            json!({ "statusCode": status, "name": name, "message": message }),
        ),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// An answer that breaks off, which closes the connection.
fn cut() -> Response<Body> {
    let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
    Response::new(Body::from_stream(broken))
}
