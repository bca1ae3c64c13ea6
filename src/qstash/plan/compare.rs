//! Compares one schedule of the file with QStash's, field by field.
//!
//! Each field has its own rule for equality, and for when QStash does not list
//! it. The ids are equal already.

use serde_json::{Value, json};

use super::secret::{Secret, Verdict, hash};
use super::{Difference, Unclear, Wanted, printable};
use crate::qstash::client::{HeaderText, Listed};

/// Names our secret without showing it.
const OURS: &str = "Bearer CRON_SECRET";

/// The result of a comparison.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) differences: Vec<Difference>,
    pub(super) unclear: Vec<Unclear>,
}

/// Every field of a new schedule.
pub(super) fn all_fields(wanted: &Wanted) -> Compared {
    let mut compared = Compared::default();
    let mut set = |field: &str, value: &str| compared.differs(field, None, Some(value.to_owned()));
    set("destination", &wanted.destination);
    set("cron", &wanted.cron);
    set("body", &wanted.body);
    set("retries", &wanted.delivery.retries.to_string());
    set("timeout", &wanted.delivery.timeout);
    if let Some(callback) = &wanted.failure_callback {
        set("failure callback", callback);
    }
    let redacted = wanted.delivery.redact_authorization;
    let redacted = if redacted { ", redacted" } else { "" };
    set("Authorization", &format!("{OURS}{redacted}"));
    compared
}

/// Everything that differs.
pub(super) fn compare(wanted: &Wanted, listed: &Listed, secret: &Secret<'_>) -> Compared {
    let mut compared = Compared::default();
    let mut exact = |field: &str, was: Option<&str>, will_be: Option<&str>| {
        if was != will_be {
            compared.differs(field, was.map(printable), will_be.map(str::to_owned));
        }
    };
    let (was, will_be) = (listed.destination.as_deref(), &*wanted.destination);
    exact("destination", was, Some(will_be));
    // QStash trims the expression, and other programs may space it otherwise.
    let cron = listed.cron.as_deref();
    let cron = cron.map(|cron| cron.split_whitespace().collect::<Vec<_>>().join(" "));
    exact("cron", cron.as_deref(), Some(&wanted.cron));
    let (was, will_be) = (&listed.failure_callback, &wanted.failure_callback);
    exact("failure callback", was.as_deref(), will_be.as_deref());
    let method = listed.method.as_deref().unwrap_or("POST");
    exact("method", Some(method), Some("POST"));
    for (name, value) in &listed.others {
        exact(name, Some(value), None);
    }
    compared.body(wanted, listed);
    compared.retries(wanted, listed);
    compared.timeout(wanted, listed);
    compared.headers(wanted, listed, secret);
    compared.failure_callback_headers(wanted, listed, secret);
    compared
}

impl Compared {
    /// The same options in another order are the same; no body and an empty
    /// one ask for nothing, as `{}` does.
    fn body(&mut self, wanted: &Wanted, listed: &Listed) {
        let was = listed.body.as_deref().map_or("", str::trim);
        if let Some(hashed) = was.strip_prefix("REDACTED:") {
            if hashed.trim() != hash(&wanted.body) {
                self.unclear("body", "it is redacted");
            }
            return;
        }
        let read = |text: &str| match text {
            "" => Some(json!({})),
            text => serde_json::from_str::<Value>(text).ok(),
        };
        if read(was) != read(&wanted.body) {
            let was = Some(printable(was)).filter(|was| !was.is_empty());
            self.differs("body", was, Some(wanted.body.clone()));
        }
    }

    /// Not listed, it is what the plan's default is.
    fn retries(&mut self, wanted: &Wanted, listed: &Listed) {
        let will_be = wanted.delivery.retries;
        match listed.retries {
            None => self.unclear("retries", "QStash does not list it"),
            Some(was) if was != u64::from(will_be) => {
                self.differs("retries", Some(was.to_string()), Some(will_be.to_string()));
            }
            Some(_) => {}
        }
    }

    fn timeout(&mut self, wanted: &Wanted, listed: &Listed) {
        let will_be = &wanted.delivery.timeout;
        let Some(was) = &listed.timeout else {
            return self.unclear("timeout", "QStash does not list it");
        };
        if !is_as_long(was, will_be) {
            let was = was.as_str().map_or_else(|| was.to_string(), str::to_owned);
            self.differs("timeout", Some(printable(&was)), Some(will_be.clone()));
        }
    }

    /// What is delivered: our secret, the content type, and nothing else.
    fn headers(&mut self, wanted: &Wanted, listed: &Listed, secret: &Secret<'_>) {
        let Some(headers) = &listed.headers else {
            return self.unclear("Authorization", "QStash does not list the headers");
        };
        let authorization = headers.get("authorization");
        self.secret("Authorization", authorization, wanted, secret);
        let is_redacted = match authorization {
            Some(HeaderText::Redacted(_)) => true,
            Some(HeaderText::Clear(_)) => false,
            None => wanted.delivery.redact_authorization,
        };
        if is_redacted != wanted.delivery.redact_authorization {
            let yes_or_no = |is| Some(if is { "yes" } else { "no" }.to_owned());
            let will_be = yes_or_no(wanted.delivery.redact_authorization);
            self.differs("Authorization is redacted", yes_or_no(is_redacted), will_be);
        }
        let json = "application/json";
        match headers.get("content-type") {
            Some(HeaderText::Clear(kind)) if kind != json => {
                self.differs("Content-Type", Some(printable(kind)), Some(json.to_owned()));
            }
            _ => {}
        }
        let ours = ["authorization", "content-type"];
        for name in headers.keys().filter(|name| !ours.contains(&name.as_str())) {
            // The value may be a secret of another service.
            let field = format!("header {}", printable(name));
            self.differs(&field, Some("set".to_owned()), None);
        }
    }

    fn failure_callback_headers(&mut self, wanted: &Wanted, listed: &Listed, secret: &Secret<'_>) {
        // Not every QStash lists these.
        if let Some(headers) = &listed.failure_callback_headers
            && wanted.failure_callback.is_some()
        {
            let authorization = headers.get("authorization");
            let field = "Authorization of the failure callback";
            self.secret(field, authorization, wanted, secret);
        }
    }

    fn secret(
        &mut self,
        field: &str,
        was: Option<&HeaderText>,
        wanted: &Wanted,
        secret: &Secret<'_>,
    ) {
        let was = match was.map(|was| secret.verdict(was, &wanted.bearer)) {
            Some(Verdict::Current) => return,
            Some(Verdict::Unknown) => {
                let why = "it is redacted, and its hash matches no known text; apply --rewrite sends it again";
                return self.unclear(field, why);
            }
            Some(Verdict::Previous) => Some("Bearer CRON_SECRET_PREVIOUS"),
            Some(Verdict::Other) => Some("another value"),
            None => None,
        };
        self.differs(field, was.map(str::to_owned), Some(OURS.to_owned()));
    }

    fn differs(&mut self, field: &str, was: Option<String>, will_be: Option<String>) {
        self.differences.push(Difference {
            field: field.to_owned(),
            was,
            will_be,
        });
    }

    fn unclear(&mut self, field: &str, why: &str) {
        self.unclear.push(Unclear {
            field: field.to_owned(),
            why: why.to_owned(),
        });
    }
}

/// Whether a listed time-out is this one: a text such as `1m0s`, or a number
/// of seconds, milliseconds or nanoseconds.
fn is_as_long(listed: &Value, wanted: &str) -> bool {
    let Ok(wanted) = humantime::parse_duration(wanted) else {
        return false;
    };
    let counts = |number: f64| {
        let seconds = wanted.as_secs_f64();
        let units = [1.0, 1e3, 1e9];
        units
            .iter()
            .any(|unit| (number - seconds * unit).abs() < 0.5)
    };
    match listed {
        Value::String(text) => match text.parse() {
            Ok(number) => counts(number),
            Err(_) => humantime::parse_duration(text).is_ok_and(|listed| listed == wanted),
        },
        Value::Number(number) => number.as_f64().is_some_and(counts),
        _ => false,
    }
}
