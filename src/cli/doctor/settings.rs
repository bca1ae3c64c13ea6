//! Checks that `serve` would start with these settings, and that a run fits
//! into the time that its schedule allows.
//!
//! Reading settings ends at the first wrong one. So they are read again with
//! a stand-in for it, until nothing more is found.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::finding::{Finding, failure, ok, warning};
use crate::config::{Read, Settings, Wrong};
use crate::engine::OVERTIME;
use crate::qstash::schedules::Schedules;

const CHECK: &str = "settings";
const BOUNDS: &str = "bounds";

/// Replacements for wrong settings that are required. None is used.
const STAND_INS: [(&str, &str); 6] = [
    ("DATABASE_URL", "postgres://stand-in@localhost/stand-in"),
    ("PUBLIC_URL", "https://stand-in.invalid"),
    ("CRON_SECRET", "a-stand-in-of-more-than-32-characters"),
    ("QSTASH_CURRENT_SIGNING_KEY", "sig_stand_in_current"),
    ("QSTASH_NEXT_SIGNING_KEY", "sig_stand_in_next"),
    ("REPORT_FROM", "stand-in@gym.invalid"),
];

/// One statement of a batch may take half of that, and its commit the other,
/// without renewing the lease.
const SHORTEST_LEASE: Duration = Duration::from_secs(20);
/// A job whose process was killed waits for its lease to expire; by then it
/// should not have missed two of its most frequent ticks.
const LONGEST_LEASE: Duration = Duration::from_mins(5);

/// More faults than there are settings.
const MOST_FAULTS: usize = 50;

type Reader = fn(&Settings) -> Read<()>;

const READERS: [Reader; 9] = [
    |settings| settings.database().map(drop),
    |settings| settings.address(false).map(drop),
    |settings| settings.guard(false).map(drop),
    |settings| settings.stripe().map(drop),
    |settings| settings.resend().map(drop),
    |settings| settings.links().map(drop),
    |settings| settings.runs().map(drop),
    |settings| settings.logs().map(drop),
    |settings| settings.qstash().map(drop),
];

/// Every wrong setting, and those that are meant for a transition only.
pub(super) fn check(settings: &Settings) -> Vec<Finding> {
    let finding = |wrong: &Wrong| {
        let fix = format!("correct {}; see docs/settings.md", wrong.variable);
        failure(CHECK, wrong.to_string(), fix)
    };
    let mut findings: Vec<Finding> = wrong(settings).iter().map(finding).collect();
    if findings.is_empty() {
        findings.push(ok(CHECK, "every setting can be read"));
    }
    findings.extend(secrets(settings).into_iter().flatten());
    findings.extend(mail(settings));
    findings.extend(bounds(settings).into_iter().flatten());
    findings
}

fn wrong(settings: &Settings) -> Vec<Wrong> {
    let mut settings = settings.clone();
    let mut faults: Vec<Wrong> = Vec::new();
    for read in READERS {
        while let Err(wrong) = read(&settings) {
            let name = &wrong.variable;
            let is_known = faults.iter().any(|fault| fault.variable == *name);
            let stand_in = STAND_INS.iter().find(|(variable, _)| variable == name);
            settings = match stand_in {
                Some(stand_in) => settings.with([*stand_in]),
                None => settings.without(name),
            };
            if is_known || faults.len() > MOST_FAULTS {
                break;
            }
            faults.push(wrong);
        }
    }
    faults
}

/// The secrets of the scheduler and the operators.
fn secrets(settings: &Settings) -> Option<Vec<Finding>> {
    const CHECK: &str = "secrets";
    let guard = settings.guard(false).ok()?;
    let mut findings = Vec::new();
    if guard.verification.is_none() {
        findings.push(warning(
            CHECK,
            "QSTASH_VERIFY=off: signatures are not checked, CRON_SECRET alone opens every job",
            "set both signing keys and PUBLIC_URL, and unset QSTASH_VERIFY",
        ));
    }
    if let Some(previous) = &guard.cron_secret_previous {
        let is_the_same = previous.expose_secret() == guard.cron_secret.expose_secret();
        let what = if is_the_same {
            "CRON_SECRET_PREVIOUS equals CRON_SECRET: nothing was rotated"
        } else {
            "a rotation is under way: CRON_SECRET_PREVIOUS is accepted too"
        };
        findings.push(warning(
            CHECK,
            what,
            "an hour after schedules apply with the new secret, deploy without CRON_SECRET_PREVIOUS",
        ));
    }
    if guard.operator_secret.is_none() {
        let what = "OPERATOR_SECRET is not set: there is no operator path";
        findings.push(ok(CHECK, what));
    }
    if findings.is_empty() {
        let what = "scheduler and operators have secrets of their own";
        findings.push(ok(CHECK, what));
    }
    findings.extend(links(settings, guard.operator_secret.is_some()));
    Some(findings)
}

/// What links to reports are signed with, where that is not as it should stay.
fn links(settings: &Settings, has_operators: bool) -> Option<Finding> {
    const CHECK: &str = "links";
    let [secret, previous] = settings.link_secrets(false).ok()?;
    let mails = settings.resend().is_ok_and(|resend| resend.key.is_some());
    match (secret, previous) {
        (None, _) if has_operators => {
            let what = "LINK_SECRET is not set: links to reports are signed with OPERATOR_SECRET, and a new one ends them";
            let fix = "set LINK_SECRET (openssl rand -hex 32), because mails have such links; those that were made before stay good";
            Some(if mails {
                warning(CHECK, what, fix)
            } else {
                ok(CHECK, what)
            })
        }
        (None, _) => Some(ok(
            CHECK,
            "LINK_SECRET is not set: there is no link to a report",
        )),
        (Some(secret), Some(previous)) if secret.expose_secret() == previous.expose_secret() => {
            let what = "LINK_SECRET_PREVIOUS equals LINK_SECRET: nothing was rotated";
            Some(warning(CHECK, what, "unset LINK_SECRET_PREVIOUS"))
        }
        (Some(_), Some(_)) => Some(ok(
            CHECK,
            "links that were signed with LINK_SECRET_PREVIOUS are good until they expire: six weeks in mails",
        )),
        (Some(_), None) => None,
    }
}

/// Checks the form of the key only: a call with it would send a mail.
fn mail(settings: &Settings) -> Option<Finding> {
    let resend = settings.resend().ok()?;
    let what = match resend.key {
        None => "RESEND_API_KEY is not set: reports are written and not mailed".to_owned(),
        Some(_) => format!(
            "RESEND_API_KEY has the form of a key; reports are from {}",
            resend.from
        ),
    };
    Some(ok("mail", what))
}

/// Whether a run fits into the time that its schedule allows.
fn bounds(settings: &Settings) -> Option<[Finding; 2]> {
    let runs = settings.runs().ok()?;
    Some([budget(runs.budget), lease(runs.lease_ttl)])
}

fn budget(budget: Duration) -> Finding {
    let schedules = &Schedules::deployed().schedules;
    let timeouts = schedules.iter().filter_map(|schedule| {
        let timeout = humantime::parse_duration(&schedule.delivery.timeout).ok()?;
        Some((timeout, schedule.id.as_str()))
    });
    let longest = budget + OVERTIME;
    let Some((timeout, id)) = timeouts.min().filter(|(timeout, _)| *timeout <= longest) else {
        let longest = longest.as_secs();
        let what = format!("a run answers within {longest} s, before QStash stops waiting");
        return ok(BOUNDS, what);
    };
    let most = timeout.saturating_sub(OVERTIME).as_secs().saturating_sub(1);
    let (budget, overtime, timeout) = (budget.as_secs(), OVERTIME.as_secs(), timeout.as_secs());
    failure(
        BOUNDS,
        format!(
            "a run may take {budget} s and {overtime} s more, but QStash stops waiting for {id} after {timeout} s and delivers again"
        ),
        format!(
            "set RUN_BUDGET_SECONDS to {most} at the most, or a longer timeout in qstash-schedules.json"
        ),
    )
}

fn lease(ttl: Duration) -> Finding {
    let lasts = format!("a lease lasts {} s", ttl.as_secs());
    let risk = if ttl < SHORTEST_LEASE {
        "a slow batch loses it and its work"
    } else if ttl > LONGEST_LEASE {
        "a job whose process was killed waits that long"
    } else {
        return ok(BOUNDS, lasts);
    };
    let fix = "set LEASE_TTL_SECONDS to 60";
    warning(BOUNDS, format!("{lasts}: {risk}"), fix)
}
