//! Checks that this service answers at `PUBLIC_URL`, as QStash would call it.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use url::Url;

use super::finding::{Finding, Level, failure, ok, warning};
use crate::config::Settings;
use crate::outbound;

const CHECK: &str = "service";
/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Calls it: whether it is live, is ready, and refuses a call without credentials.
pub(super) async fn check(settings: &Settings) -> Option<Vec<Finding>> {
    let public_url = settings.public_url().ok()?;
    let mut findings = vec![address(&public_url)];
    let (live, ready, refused) = tokio::join!(
        call(Method::GET, format!("{public_url}/health/live")),
        call(Method::GET, format!("{public_url}/health/ready")),
        call(Method::POST, format!("{public_url}/api/qstash/failures")),
    );
    let live = live_finding(&public_url, live);
    let is_live = live.level == Level::Ok;
    findings.push(live);
    // Another server's answers say nothing about the service.
    if is_live {
        findings.push(ready_finding(ready));
        findings.push(guard_finding(refused));
    }
    Some(findings)
}

/// Whether QStash could call it, and without sending the secret in the clear.
fn address(public_url: &str) -> Finding {
    match Url::parse(public_url) {
        Ok(url) if url.scheme() == "https" => ok(CHECK, "PUBLIC_URL is https"),
        Ok(url) if outbound::is_safe_for_secrets(&url) => warning(
            CHECK,
            "PUBLIC_URL is this machine's own address: QStash cannot call it",
            "set it to the address that the service has on the internet",
        ),
        _ => failure(
            CHECK,
            "PUBLIC_URL is plain http: QStash would send CRON_SECRET in the clear",
            "serve it over https, and set PUBLIC_URL to that",
        ),
    }
}

/// A status and a body, or why there is none.
type Answer = Result<(u16, Value), String>;

fn live_finding(public_url: &str, answer: Answer) -> Finding {
    let (what, fix) = match answer {
        Ok((200, body)) if body["status"] == "live" => {
            return ok(CHECK, format!("answers at {public_url}"));
        }
        Ok((status @ 300..=399, _)) => (
            format!("{public_url} answers with a redirect ({status})"),
            "QStash follows none: set PUBLIC_URL to where it leads",
        ),
        Ok((status @ (401 | 403), _)) => (
            format!("{public_url} is closed to callers from outside ({status})"),
            "open it to every caller: the service has its own guard",
        ),
        Ok((status, _)) => (
            format!("{public_url} is answered by something else ({status})"),
            "check that PUBLIC_URL is this service's address, path included",
        ),
        Err(error) => (
            format!("no answer at {public_url}: {error}"),
            "check that the service is deployed there, and that PUBLIC_URL is its address",
        ),
    };
    failure(CHECK, what, fix)
}

fn ready_finding(answer: Answer) -> Finding {
    let why = match answer {
        Ok((200, _)) => return ok(CHECK, "is ready to work"),
        Ok((status, body)) => {
            let part = |name: &str| body[name].as_str().unwrap_or("unknown").to_owned();
            let (database, migrations) = (part("database"), part("migrations"));
            format!("{status}, database {database}, migrations {migrations}")
        }
        Err(error) => error,
    };
    let fix = "fix what /health/ready names, as the service sees it";
    failure(CHECK, format!("is live and is not ready: {why}"), fix)
}

/// The service's own guard must refuse a call without credentials, and not a
/// proxy in front of it.
fn guard_finding(answer: Answer) -> Finding {
    match answer {
        Ok((401, body)) if body["code"] == "unauthorized" => {
            ok(CHECK, "refuses a call without credentials")
        }
        Ok((status, _)) => failure(
            CHECK,
            format!("a call without credentials gets {status}, not this service's own 401"),
            "configure the proxy in front to pass every path and method, and the Authorization header",
        ),
        Err(error) => failure(CHECK, error, "let POST pass to the service"),
    }
}

async fn call(method: Method, url: String) -> Answer {
    let http = outbound::client(TIMEOUT).map_err(|error| format!("{error:#}"))?;
    let answer = http.request(method, url).send().await;
    let answer = answer.map_err(|error| outbound::in_words(&error).to_string())?;
    let status = answer.status().as_u16();
    let text = outbound::body(answer)
        .await
        .map_err(|error| error.to_string())?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}
