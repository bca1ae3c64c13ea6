//! Are QStash's schedules those that were deployed, and do they call this
//! service?

use super::finding::{Finding, failure, ok, warning};
use crate::config::Settings;
use crate::qstash::client::{Client, Failure, Listed};
use crate::qstash::plan::{Action, Plan, Planned};
use crate::qstash::schedules::Schedules;

const CHECK: &str = "schedules";
const APPLY: &str = "look with: jarvis-cron schedules plan; mend with: jarvis-cron schedules apply";

/// Compares them; a token that is refused is a finding elsewhere.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let (Ok(Some(qstash)), Ok(destination)) = (settings.qstash(), settings.destination(false))
    else {
        return Vec::new();
    };
    let Ok(client) = Client::new(qstash) else {
        return Vec::new();
    };
    let listed = match client.schedules().await {
        Ok(listed) => listed,
        Err(failed) => return unread(&failed),
    };
    let wanted = match Schedules::deployed().wanted(&destination) {
        Ok(wanted) => wanted,
        Err(error) => return vec![failure(CHECK, format!("{error:#}"), "mend CRON_SECRET")],
    };
    let guard = settings.guard(false).ok();
    let previous = guard.and_then(|guard| guard.cron_secret_previous);
    let plan = Plan::of(&wanted, &listed, previous.as_ref());
    let mut findings = vec![destinations(&plan, &listed, &destination.public_url)];
    findings.extend(differences(&plan));
    findings
}

/// Whether what is scheduled for us comes to us.
fn destinations(plan: &Plan, listed: &[Listed], public_url: &str) -> Finding {
    let ours = plan
        .schedules
        .iter()
        .filter(|planned| matches!(planned.action, Action::Update | Action::Unchanged));
    let elsewhere: Vec<String> = ours
        .filter_map(|planned| {
            let theirs = listed.iter().find(|listed| listed.id == planned.id)?;
            let goes_here = theirs.destination == planned.destination;
            (!goes_here).then(|| planned.id.clone())
        })
        .collect();
    match elsewhere.len() {
        0 => ok(
            CHECK,
            format!("none of them calls another address than {public_url}"),
        ),
        _ => failure(
            CHECK,
            format!("these do not call {public_url}: {}", elsewhere.join(", ")),
            format!("is PUBLIC_URL right? Then {APPLY}"),
        ),
    }
}

fn differences(plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    let of = |action: Action| ids(plan, |planned| planned.action == action);
    if let Some(missing) = of(Action::Create) {
        let what = format!("not at QStash, so these jobs are never called: {missing}");
        findings.push(failure(CHECK, what, APPLY));
    }
    if let Some(drifted) = fields(plan) {
        let what = format!("these differ from what was deployed: {drifted}");
        findings.push(warning(CHECK, what, APPLY));
    }
    if let Some(orphans) = of(Action::Orphan) {
        let what = format!("these are ours and not deployed any more: {orphans}");
        let mend = "look with: jarvis-cron schedules plan; delete with: jarvis-cron schedules apply --prune";
        findings.push(warning(CHECK, what, mend));
    }
    let paused = ids(plan, |planned| {
        planned.is_paused && planned.action != Action::Foreign
    });
    if let Some(paused) = paused {
        let what = format!("QStash leaves these out, because they are paused: {paused}");
        let mend = "once they may run again: jarvis-cron schedules resume";
        findings.push(warning(CHECK, what, mend));
    }
    if let Some(unclear) = ids(plan, has_unclear_secret) {
        let what = format!(
            "nobody can tell whether QStash sends our CRON_SECRET, it is redacted: {unclear}"
        );
        let mend = "was it changed since? then: jarvis-cron schedules apply --rewrite";
        findings.push(warning(CHECK, what, mend));
    }
    if findings.is_empty() {
        let count = plan.count(Action::Unchanged);
        findings.push(ok(CHECK, format!("all {count} are as they were deployed")));
    }
    findings
}

fn has_unclear_secret(planned: &Planned) -> bool {
    let mut unclear = planned.unclear.iter();
    planned.action != Action::Foreign && unclear.any(|it| it.field.starts_with("Authorization"))
}

/// The schedules that differ, with the names of the fields.
fn fields(plan: &Plan) -> Option<String> {
    let drifted = plan.schedules.iter();
    let drifted: Vec<String> = drifted
        .filter(|planned| planned.action == Action::Update)
        .map(|planned| {
            let fields = planned.differences.iter().map(|it| it.field.as_str());
            format!("{} ({})", planned.id, fields.collect::<Vec<_>>().join(", "))
        })
        .collect();
    (!drifted.is_empty()).then(|| drifted.join(", "))
}

fn ids(plan: &Plan, wanted: impl Fn(&Planned) -> bool) -> Option<String> {
    let ids = plan.schedules.iter().filter(|planned| wanted(planned));
    let ids: Vec<&str> = ids.map(|planned| planned.id.as_str()).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}

fn unread(failed: &Failure) -> Vec<Finding> {
    match failed {
        Failure::Denied { .. } | Failure::WrongRegion { .. } | Failure::Unreachable { .. } => {
            Vec::new()
        }
        failed => vec![failure(
            CHECK,
            failed.to_string(),
            "is QSTASH_URL that of QStash's API? Else try again later",
        )],
    }
}
