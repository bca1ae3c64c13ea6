//! Checks for what a moved clock or a copied database leaves behind.

use super::finding::{Finding, failure, ok, warning};
use crate::config::Settings;
use crate::database::drift::{Drift, drift};

/// Asks the database; one that does not answer is a finding of another check.
pub(super) async fn check(settings: &Settings) -> Option<Vec<Finding>> {
    let database = settings.database().ok()?;
    let found = drift(database.options, &database.terms).await.ok()?;
    let mut findings = identities(&found);
    findings.extend(functions(&found));
    findings.push(clock(&found));
    Some(findings)
}

fn clock(found: &Drift) -> Finding {
    const CHECK: &str = "clock";
    if found.jobs_ahead.is_empty() && found.runs_ahead == 0 {
        return ok(CHECK, "no lease and no run is dated in the future");
    }
    let mut what = format!("{} runs are dated in the future", found.runs_ahead);
    if !found.jobs_ahead.is_empty() {
        what = format!(
            "{what}, and so are leases of {}",
            found.jobs_ahead.join(", ")
        );
    }
    let what = format!("{what}: the database's clock was set back");
    let fix = "synchronise the database's clock by NTP; the jobs go on meanwhile";
    warning(CHECK, what, fix)
}

/// The fix names the schema, because it is typed where another may be first.
fn functions(found: &Drift) -> impl Iterator<Item = Finding> {
    found.functions_astray.iter().map(|(name, fix)| {
        let what =
            format!("the function {name} looks in another schema than its own: was that renamed?");
        failure("functions", what, format!("{fix};"))
    })
}

fn identities(found: &Drift) -> Vec<Finding> {
    const CHECK: &str = "identities";
    if !found.identities_unread.is_empty() {
        let unread = found.identities_unread.join(", ");
        let what = format!("whether {unread} are ahead of their tables is unknown");
        let fix = "grant select on their sequences to the role of DATABASE_URL";
        return vec![warning(CHECK, what, fix)];
    }
    if found.identities_behind.is_empty() {
        return vec![ok(CHECK, "each is ahead of its table")];
    }
    let behind = found.identities_behind.iter();
    let behind = behind.map(|(column, fix)| {
        let what = format!("{column} would give a number that is taken: new rows are refused");
        failure(CHECK, what, format!("{fix};"))
    });
    behind.collect()
}
