//! Which Stripe is this, and does it accept the key?
//!
//! Asked by reading an intent that does not exist: an answer that there is
//! none proves the key and its right to read intents, and changes nothing.

use secrecy::{ExposeSecret, SecretString};

use super::finding::{Finding, failure, ok, warning};
use crate::config::Settings;
use crate::stripe::{Failure, Stripe};

const CHECK: &str = "stripe";
/// No intent of Stripe's has such an id.
const NOBODY: &str = "pi_jarvis_cron_doctor";

/// Asks it.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let Ok(stripe) = settings.stripe() else {
        return Vec::new();
    };
    let Some(key) = &stripe.key else {
        let what = "STRIPE_SECRET_KEY is not set: orders with payment intents will not expire";
        let mend = "set a secret key, or a restricted one that may write payment intents";
        return vec![warning(CHECK, what, mend)];
    };
    let mode = mode(key);
    let host = stripe.base.host_str().unwrap_or_default().to_owned();
    let place = match host.as_str() {
        "api.stripe.com" => String::new(),
        host => format!(" at {host}, which is not Stripe's own address"),
    };
    let answer = match Stripe::new(stripe) {
        Ok(stripe) => stripe.retrieve(NOBODY, &|| true).await,
        Err(error) => {
            return vec![failure(
                CHECK,
                format!("{error:#}"),
                "mend this machine's TLS",
            )];
        }
    };
    vec![match answer {
        Ok(_) | Err(Failure::Missing { .. }) => {
            ok(CHECK, format!("{mode}; the key is accepted{place}"))
        }
        Err(failed) => refused(&failed, mode, &place),
    }]
}

/// The mode is the key's: <https://docs.stripe.com/keys>.
fn mode(key: &SecretString) -> &'static str {
    let key = key.expose_secret();
    let kind = key.split('_').nth(1).unwrap_or_default();
    match kind {
        "live" => "live mode: real money",
        "test" => "test mode: no real money",
        _ => "mode unknown: the key says neither live nor test",
    }
}

fn refused(failed: &Failure, mode: &str, place: &str) -> Finding {
    let mend = match failed {
        Failure::Denied { status: 403, .. } => {
            "give the restricted key the right to write payment intents and checkout sessions"
        }
        Failure::Denied { .. } => "copy STRIPE_SECRET_KEY from Stripe's dashboard",
        Failure::Unreachable { .. } | Failure::Unavailable { .. } => {
            "look at status.stripe.com, and whether this machine may call it"
        }
        _ => "look the message up in Stripe's documentation",
    };
    failure(CHECK, format!("{mode}; {failed}{place}"), mend)
}
