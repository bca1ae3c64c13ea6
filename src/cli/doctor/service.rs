//! Does this service answer at `PUBLIC_URL`, as QStash would find it?

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::finding::{Finding, Level, failure, ok, warning};
use crate::config::Settings;
use crate::outbound;

const CHECK: &str = "service";
/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Calls it: whether it lives, is ready, and guards its doors.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let Ok(public_url) = settings.public_url() else {
        return Vec::new();
    };
    let mut findings = vec![address(&public_url)];
    let (live, ready, closed) = tokio::join!(
        get(&public_url, "/health/live"),
        get(&public_url, "/health/ready"),
        post(&public_url, "/api/qstash/failures"),
    );
    let live = is_live(&public_url, live);
    let lives = live.level == Level::Ok;
    findings.push(live);
    // What nobody or somebody else answers says nothing of the service.
    if lives {
        findings.push(is_ready(ready));
        findings.push(is_closed(closed));
    }
    findings
}

/// Whether QStash could call it, and without telling the secret to everybody.
fn address(public_url: &str) -> Finding {
    let url = Url::parse(public_url).ok();
    let is_safe = url.as_ref().is_some_and(outbound::is_safe_for_secrets);
    match url.as_ref().map(Url::scheme) {
        Some("https") => ok(CHECK, "PUBLIC_URL is https"),
        _ if is_safe => warning(
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

type Answer = Result<(u16, Value), String>;

fn is_live(public_url: &str, answer: Answer) -> Finding {
    match answer {
        Ok((200, body)) if body["status"] == "live" => {
            ok(CHECK, format!("answers at {public_url}"))
        }
        Ok((status, _)) => something_else(public_url, status),
        Err(error) => failure(
            CHECK,
            format!("nobody answers at {public_url}: {error}"),
            "is the service deployed there, and is PUBLIC_URL its address?",
        ),
    }
}

fn is_ready(answer: Answer) -> Finding {
    let said = match answer {
        Ok((200, _)) => return ok(CHECK, "is ready to work"),
        Ok((status, body)) => {
            let word = |name: &str| body[name].as_str().unwrap_or("unknown").to_owned();
            let (database, migrations) = (word("database"), word("migrations"));
            format!("{status}, database {database}, migrations {migrations}")
        }
        Err(error) => error,
    };
    let mend = "mend what /health/ready names, as the service sees it";
    failure(CHECK, format!("lives and is not ready: {said}"), mend)
}

/// Without credentials its own guard must refuse, and nobody in front of it.
fn is_closed(answer: Answer) -> Finding {
    match answer {
        Ok((401, body)) if body["code"] == "unauthorized" => {
            ok(CHECK, "refuses who has no credentials")
        }
        Ok((status, _)) => failure(
            CHECK,
            format!("a call without credentials gets {status}, not this service's own 401"),
            "let whatever stands in front pass every path and method, and the Authorization header",
        ),
        Err(error) => failure(CHECK, error, "let POST pass to the service"),
    }
}

fn something_else(public_url: &str, status: u16) -> Finding {
    let (what, mend) = match status {
        300..=399 => (
            format!("{public_url} answers with a redirect ({status})"),
            "QStash follows none: set PUBLIC_URL to where it leads",
        ),
        401 | 403 => (
            format!("{public_url} is closed to callers from outside ({status})"),
            "let everybody call it: the service has a guard of its own",
        ),
        _ => (
            format!("{public_url} is answered by something else ({status})"),
            "is PUBLIC_URL this service's address, path included?",
        ),
    };
    failure(CHECK, what, mend)
}

async fn get(public_url: &str, path: &str) -> Answer {
    call(|http| http.get(format!("{public_url}{path}"))).await
}

async fn post(public_url: &str, path: &str) -> Answer {
    call(|http| http.post(format!("{public_url}{path}"))).await
}

async fn call(request: impl FnOnce(reqwest::Client) -> reqwest::RequestBuilder) -> Answer {
    let http = outbound::client(TIMEOUT).map_err(|error| format!("{error:#}"))?;
    let answer = request(http)
        .send()
        .await
        .map_err(|error| in_words(&error))?;
    let status = answer.status().as_u16();
    let text = answer.text().await.map_err(|error| in_words(&error))?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// The innermost cause: a name, a refusal, a certificate.
fn in_words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        cause.to_string()
    }
}
