//! Is the token good here, and are our signing keys those that QStash signs
//! with?

use secrecy::{ExposeSecret, SecretString};

use super::finding::{Finding, failure, ok, warning};
use crate::config::{KeyRing, Settings};
use crate::qstash::client::{Client, Failure};
use crate::qstash::signature::SigningKeys;

const CHECK: &str = "keys";

/// Asks QStash, where there is a token to ask with.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let keys = settings.verification(false).ok().flatten();
    let keys = keys.map(|verification| verification.keys);
    let mut findings: Vec<Finding> = keys.iter().map(count).collect();
    let Ok(qstash) = settings.qstash() else {
        return findings;
    };
    let Some(qstash) = qstash else {
        findings.push(warning(
            "token",
            "QSTASH_TOKEN is not set: a run out of budget waits for the next tick, and neither keys nor schedules can be compared with QStash's",
            "set QSTASH_TOKEN; here a read-only one is enough",
        ));
        return findings;
    };
    let host = qstash.base.host_str().unwrap_or_default().to_owned();
    let theirs = match Client::new(qstash) {
        Ok(client) => client.keys().await,
        Err(error) => {
            findings.push(failure(
                "token",
                format!("{error:#}"),
                "mend this machine's TLS",
            ));
            return findings;
        }
    };
    match theirs {
        Ok(theirs) => {
            findings.push(ok("token", format!("accepted at {host}")));
            let ours = keys.as_ref().map(|keys| ours(settings, keys));
            findings.extend(ours.map(|ours| compare(ours, &theirs)));
        }
        Err(failed) => findings.push(refused(&failed, &host)),
    }
    findings
}

/// The pair for deliveries of the region that the token is of.
fn ours<'k>(settings: &Settings, keys: &'k KeyRing) -> &'k SigningKeys {
    keys.for_region(settings.region().ok().flatten())
}

fn count(keys: &KeyRing) -> Finding {
    let regions: Vec<&str> = keys.all().filter_map(|(region, _)| region).collect();
    let same = keys.all().find(|(_, pair)| is(&pair.current, &pair.next));
    if same.is_some() {
        let what = "a current and a next signing key are the same: the next roll locks QStash out";
        return warning(CHECK, what, "copy both from the QStash console");
    }
    match regions.as_slice() {
        [] => ok(CHECK, "one pair, current and next"),
        regions => ok(
            CHECK,
            format!("one pair, and one for each of {}", regions.join(", ")),
        ),
    }
}

/// <https://upstash.com/docs/qstash/howto/roll-signing-keys>: the next key
/// becomes the current one, and a new one comes after it.
fn compare(ours: &SigningKeys, theirs: &SigningKeys) -> Finding {
    const MEND: &str = "set QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY to what the QStash console shows, and deploy";
    let current = (
        is(&ours.current, &theirs.current),
        is(&ours.next, &theirs.current),
    );
    match (current, is(&ours.next, &theirs.next)) {
        ((true, _), true) => ok(CHECK, "both are QStash's"),
        ((true, _), false) => warning(
            CHECK,
            "the current key is QStash's, the next one is not: the next roll locks QStash out",
            MEND,
        ),
        ((false, true), _) => warning(
            CHECK,
            "QStash has rolled its keys once: it signs with our next key, and one more roll locks it out",
            MEND,
        ),
        ((false, false), _) => failure(
            CHECK,
            "QStash signs with a key that is neither of ours: rolled twice, or of another account or region; every delivery is refused",
            MEND,
        ),
    }
}

fn is(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

fn refused(failed: &Failure, host: &str) -> Finding {
    let what = failed.to_string();
    let mend = match failed {
        Failure::WrongRegion { .. } => {
            "QStash's regions know nothing of each other; take the token of this one, or set QSTASH_URL to the other: https://qstash-us-east-1.upstash.io or https://qstash-eu-central-1.upstash.io"
        }
        Failure::Denied { .. } => "copy QSTASH_TOKEN from the QStash console",
        Failure::Unreachable { .. } => "is the way to QSTASH_URL open from this machine?",
        Failure::Limited { .. } => return warning("token", what, "try again later"),
        _ => "is QSTASH_URL that of QStash's API?",
    };
    failure("token", format!("at {host}: {what}"), mend)
}
