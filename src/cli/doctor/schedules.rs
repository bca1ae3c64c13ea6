//! Checks that QStash's schedules are those that were deployed, and that they
//! call this service.

use super::finding::{Finding, failure, ok, warning};
use crate::cli::jobs_in_use;
use crate::config::Settings;
use crate::qstash::client::{Client, Failure, Listed};
use crate::qstash::plan::{Action, Plan, Planned};
use crate::qstash::schedules::Schedules;

const CHECK: &str = "schedules";
const APPLY: &str =
    "compare with: jarvis-cron schedules plan; fix with: jarvis-cron schedules apply";

/// Compares them; a token that is refused is a finding of another check.
pub(super) async fn check(settings: &Settings) -> Option<Vec<Finding>> {
    let qstash = settings.qstash().ok()??;
    let destination = settings.destination(false).ok()?;
    let client = Client::new(qstash).ok()?;
    let failed = |what: String, fix: &str| Some(vec![failure(CHECK, what, fix)]);
    let listed = match client.schedules().await {
        Ok(listed) => listed,
        Err(Failure::Denied { .. } | Failure::WrongRegion(_) | Failure::Unreachable(_)) => {
            return None;
        }
        Err(failure) => {
            let fix = "check that QSTASH_URL is that of QStash's API, or try again later";
            return failed(failure.to_string(), fix);
        }
    };
    let used = jobs_in_use(settings).ok()?.names();
    let wanted = match Schedules::deployed()
        .clone()
        .only(&used)
        .wanted(&destination)
    {
        Ok(wanted) => wanted,
        Err(error) => return failed(format!("{error:#}"), "correct CRON_SECRET"),
    };
    let guard = settings.guard(false).ok();
    let previous = guard.and_then(|guard| guard.cron_secret_previous);
    let plan = Plan::of(&wanted, &listed, previous.as_ref());
    let mut findings = vec![destinations(&plan, &listed, &destination.public_url)];
    findings.extend(differences(&plan));
    Some(findings)
}

/// Whether our schedules call this service.
fn destinations(plan: &Plan, listed: &[Listed], public_url: &str) -> Finding {
    let elsewhere = ids(plan, |planned| {
        let is_ours = matches!(planned.action, Action::Update | Action::Unchanged);
        let mut theirs = listed.iter().filter(|listed| listed.id == planned.id);
        is_ours && theirs.any(|theirs| theirs.destination != planned.destination)
    });
    match elsewhere {
        None => {
            let what = format!("none of them calls another address than {public_url}");
            ok(CHECK, what)
        }
        Some(elsewhere) => failure(
            CHECK,
            format!("these do not call {public_url}: {elsewhere}"),
            format!("check PUBLIC_URL, then {APPLY}"),
        ),
    }
}

fn differences(plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    let with_action = |action| ids(plan, move |planned| planned.action == action);
    if let Some(missing) = with_action(Action::Create) {
        let what = format!("not at QStash, so these jobs are never called: {missing}");
        findings.push(failure(CHECK, what, APPLY));
    }
    if let Some(changed) = changed(plan) {
        let what = format!("these differ from what was deployed: {changed}");
        findings.push(warning(CHECK, what, APPLY));
    }
    if let Some(orphans) = with_action(Action::Orphan) {
        let what = format!("these are ours and not deployed any more: {orphans}");
        let fix = "compare with: jarvis-cron schedules plan; delete with: jarvis-cron schedules apply --prune";
        findings.push(warning(CHECK, what, fix));
    }
    let is_ours = |planned: &Planned| planned.action != Action::Foreign;
    if let Some(paused) = ids(plan, |planned| planned.is_paused && is_ours(planned)) {
        let what = format!("QStash skips these, because they are paused: {paused}");
        let fix = "once they may run again: jarvis-cron schedules resume";
        findings.push(warning(CHECK, what, fix));
    }
    let unclear = ids(plan, |planned| {
        let mut fields = planned.unclear.iter().map(|it| &it.field);
        is_ours(planned) && fields.any(|field| field.starts_with("Authorization"))
    });
    if let Some(unclear) = unclear {
        let what =
            format!("unknown whether QStash sends our CRON_SECRET, it is redacted: {unclear}");
        let fix = "if CRON_SECRET was changed since: jarvis-cron schedules apply --rewrite";
        findings.push(warning(CHECK, what, fix));
    }
    if findings.is_empty() {
        let count = plan.count(Action::Unchanged);
        findings.push(ok(CHECK, format!("all {count} are as they were deployed")));
    }
    findings
}

/// The schedules that differ, with the names of the fields.
fn changed(plan: &Plan) -> Option<String> {
    let with_fields = |planned: &Planned| {
        let fields = planned.differences.iter().map(|it| it.field.as_str());
        format!("{} ({})", planned.id, fields.collect::<Vec<_>>().join(", "))
    };
    let changed = plan.schedules.iter();
    let changed = changed.filter(|planned| planned.action == Action::Update);
    joined(changed.map(with_fields))
}

fn ids(plan: &Plan, wanted: impl Fn(&Planned) -> bool) -> Option<String> {
    let ids = plan.schedules.iter().filter(|planned| wanted(planned));
    joined(ids.map(|planned| planned.id.clone()))
}

fn joined(texts: impl Iterator<Item = String>) -> Option<String> {
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}
