//! Checks that anonymising a member leaves nothing behind in columns and tables
//! that the customer has added.

use super::finding::{Finding, failure, ok, warning};
use crate::cli::jobs_in_use;
use crate::config::Settings;
use crate::database::begin_alone;
use crate::retention::rules::{self, Survey};

const CHECK: &str = "retention";

/// Compares the rules with the catalog. A database that cannot be asked, or
/// lacks our tables, is a finding of another check.
pub(super) async fn check(settings: &Settings) -> Option<Vec<Finding>> {
    jobs_in_use(settings).ok()?.find("cleanup-old-data")?;
    let database = settings.database().ok()?;
    let begun = begin_alone(database.options.clone(), &database.terms).await;
    let survey = rules::survey(&mut begun.ok()?).await.ok()?;
    let mut findings: Vec<Finding> = survey.broken.iter().map(broken).collect();
    findings.extend(unknown(&survey));
    if findings.is_empty() {
        let what = "all that is known of a member is erased with them";
        findings.push(ok(CHECK, what));
    }
    Some(findings)
}

fn broken(rule: &String) -> Finding {
    let what = format!("no member can be anonymised: {rule}");
    let fix = "correct the policy file, and run: jarvis-cron policies apply --file FILE";
    failure(CHECK, what, fix)
}

fn unknown(survey: &Survey) -> Option<Finding> {
    let what = format!(
        "not erased when a member is anonymised: {}",
        survey.unknown.join(", ")
    );
    let fix = "say in a policy file what becomes of each, and run: jarvis-cron policies apply --file FILE; see docs/retention.md";
    (!survey.unknown.is_empty()).then(|| warning(CHECK, what, fix))
}
