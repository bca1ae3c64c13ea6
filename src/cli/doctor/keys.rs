//! Checks that QStash accepts the token, and that our signing keys are those
//! that QStash signs with.

use secrecy::{ExposeSecret, SecretString};

use super::finding::{Finding, failure, ok, warning};
use crate::config::{KeyRing, Settings};
use crate::qstash::client::{self, Client, Failure};
use crate::qstash::signature::SigningKeys;

const CHECK: &str = "keys";
const TOKEN: &str = "token";

/// Asks QStash for its keys, where there is a token.
pub(super) async fn check(settings: &Settings) -> Option<Vec<Finding>> {
    let keys = settings.verification(false).ok().flatten();
    let keys = keys.map(|verification| verification.keys);
    let mut findings: Vec<Finding> = keys.iter().map(count).collect();
    match settings.qstash() {
        Ok(Some(qstash)) => findings.extend(at_qstash(settings, qstash, keys.as_ref()).await),
        Ok(None) => findings.push(warning(
            TOKEN,
            "QSTASH_TOKEN is not set: a run out of budget waits for the next tick, and neither keys nor schedules can be compared with QStash's",
            "set QSTASH_TOKEN; here a read-only one is enough",
        )),
        Err(_) => {}
    }
    Some(findings)
}

async fn at_qstash(
    settings: &Settings,
    qstash: client::Settings,
    keys: Option<&KeyRing>,
) -> Vec<Finding> {
    let host = qstash.base.host_str().unwrap_or_default().to_owned();
    let client = match Client::new(qstash) {
        Ok(client) => client,
        Err(error) => {
            let fix = "fix this machine's TLS";
            return vec![failure(TOKEN, format!("{error:#}"), fix)];
        }
    };
    match client.keys().await {
        Ok(theirs) => {
            let mut findings = vec![ok(TOKEN, format!("accepted at {host}"))];
            // The pair for deliveries of the token's region.
            let region = settings.region().ok().flatten();
            let ours = keys.map(|keys| keys.for_region(region));
            findings.extend(ours.map(|ours| compare(ours, &theirs)));
            findings
        }
        Err(failed) => vec![refused(&failed, &host)],
    }
}

fn count(keys: &KeyRing) -> Finding {
    if keys.all().any(|(_, pair)| is(&pair.current, &pair.next)) {
        let what = "a current and a next signing key are the same: the next roll locks QStash out";
        return warning(CHECK, what, "copy both from the QStash console");
    }
    let regions: Vec<&str> = keys.all().filter_map(|(region, _)| region).collect();
    if regions.is_empty() {
        return ok(CHECK, "one pair, current and next");
    }
    let regions = regions.join(", ");
    ok(CHECK, format!("one pair, and one for each of {regions}"))
}

/// <https://upstash.com/docs/qstash/howto/roll-signing-keys>: the next key
/// becomes the current one, and a new one comes after it.
fn compare(ours: &SigningKeys, theirs: &SigningKeys) -> Finding {
    let fix = "set QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY to what the QStash console shows, and deploy";
    if is(&ours.current, &theirs.current) {
        if is(&ours.next, &theirs.next) {
            return ok(CHECK, "both are QStash's");
        }
        let what =
            "the current key is QStash's, the next one is not: the next roll locks QStash out";
        return warning(CHECK, what, fix);
    }
    if is(&ours.next, &theirs.current) {
        let what = "QStash has rolled its keys once: it signs with our next key, and one more roll locks it out";
        return warning(CHECK, what, fix);
    }
    let what = "QStash signs with a key that is neither of ours: rolled twice, or of another account or region; every delivery is refused";
    failure(CHECK, what, fix)
}

fn is(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

fn refused(failed: &Failure, host: &str) -> Finding {
    let fix = match failed {
        Failure::WrongRegion(_) => {
            "each region has its own tokens; use the token of this one, or set QSTASH_URL to the other: https://qstash-us-east-1.upstash.io or https://qstash-eu-central-1.upstash.io"
        }
        Failure::Denied { .. } => "copy QSTASH_TOKEN from the QStash console",
        Failure::Unreachable(_) => "check that this machine can reach QSTASH_URL",
        Failure::Limited(_) => return warning(TOKEN, failed.to_string(), "try again later"),
        _ => "check that QSTASH_URL is that of QStash's API",
    };
    failure(TOKEN, format!("at {host}: {failed}"), fix)
}
