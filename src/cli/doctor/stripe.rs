//! Checks Stripe's mode and whether it accepts the key.
//!
//! Reads an intent that does not exist: the answer that there is none proves
//! the key and its right to read intents, and changes nothing.

use secrecy::{ExposeSecret, SecretString};

use super::finding::{Finding, failure, ok, warning};
use crate::cli::jobs_in_use;
use crate::config::Settings;
use crate::stripe::{Failure, Stripe};

const CHECK: &str = "stripe";
/// No intent of Stripe's has such an id.
const NO_INTENT: &str = "pi_jarvis_cron_doctor";

/// The jobs that call Stripe.
const CALLERS: [&str; 2] = ["expire-stale-orders", "cleanup-stale-payment-intents"];

/// Calls Stripe, where there is a key, and a job that needs it.
pub(super) async fn check(settings: &Settings) -> Option<Vec<Finding>> {
    if !is_called(settings) {
        return Some(vec![ok(CHECK, "no job in use calls it")]);
    }
    Some(vec![finding(settings.stripe().ok()?).await])
}

/// Whether a job that calls Stripe is in use.
pub(in crate::cli) fn is_called(settings: &Settings) -> bool {
    jobs_in_use(settings).is_ok_and(|used| CALLERS.iter().any(|job| used.find(job).is_some()))
}

async fn finding(settings: crate::stripe::Settings) -> Finding {
    let Some(key) = &settings.key else {
        let what = "STRIPE_SECRET_KEY is not set: orders with payment intents will not expire";
        let fix = "set a secret key, or a restricted one that may write payment intents";
        return warning(CHECK, what, fix);
    };
    let mode = mode(key);
    let place = match settings.base.host_str().unwrap_or_default() {
        "api.stripe.com" => String::new(),
        host => format!(" at {host}, which is not Stripe's own address"),
    };
    let stripe = match Stripe::new(settings) {
        Ok(stripe) => stripe,
        Err(error) => return failure(CHECK, format!("{error:#}"), "fix this machine's TLS"),
    };
    match stripe.retrieve(NO_INTENT, &|| true).await {
        Ok(_) | Err(Failure::Missing(_)) => {
            ok(CHECK, format!("{mode}; the key is accepted{place}"))
        }
        Err(failed) => failure(CHECK, format!("{mode}; {failed}{place}"), fix(&failed)),
    }
}

/// The mode is the key's: <https://docs.stripe.com/keys>.
fn mode(key: &SecretString) -> &'static str {
    match key.expose_secret().split('_').nth(1) {
        Some("live") => "live mode: real money",
        Some("test") => "test mode: no real money",
        _ => "mode unknown: the key says neither live nor test",
    }
}

fn fix(failed: &Failure) -> &'static str {
    match failed {
        Failure::Denied { status: 403, .. } => {
            "give the restricted key the right to write payment intents and checkout sessions"
        }
        Failure::Denied { .. } => "copy STRIPE_SECRET_KEY from Stripe's dashboard",
        Failure::Unreachable(_) | Failure::Unavailable { .. } => {
            "check status.stripe.com, and whether this machine may call Stripe"
        }
        _ => "look the message up in Stripe's documentation",
    }
}
