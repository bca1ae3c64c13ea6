//! Checks what stands for the tables of a shop or a gym: that the host's views
//! keep the contract, and that there is a row at all.

use super::finding::{Finding, failure, ok, warning};
use crate::cli::jobs_in_use;
use crate::config::Settings;
use crate::database::adoption::contract::{Port, VERSION};
use crate::database::adoption::{self, Adoption, Level};
use crate::database::{Unprepared, begin_alone};

const CHECK: &str = "ports";

/// Tries the contract. A database that cannot be asked, or lacks our tables, is
/// a finding of another check.
pub(super) async fn check(settings: &Settings) -> Option<Vec<Finding>> {
    let database = settings.database().ok()?;
    let begun = begin_alone(database.options.clone(), &database.terms).await;
    let mut tx = begun.ok()?;
    let adopted = adoption::adoptions(Unprepared(&mut tx)).await.ok()?;
    let found = adoption::check(&mut tx, None).await;
    let mut findings: Vec<Finding> = adopted.iter().filter_map(of_record).collect();
    match found {
        Ok(found) => findings.extend(found.into_iter().filter_map(|it| {
            let level = match it.level {
                Level::Failure => failure,
                Level::Warning => warning,
                Level::Note => return None,
            };
            Some(level(CHECK, format!("{}: {}", it.place, it.what), it.fix))
        })),
        Err(error) => {
            let what = format!("the contract was not tried to the end: {error}");
            let fix = "run: jarvis-cron adopt check, which takes its time";
            findings.push(warning(CHECK, what, fix));
            return Some(findings);
        }
    }
    if findings.is_empty() {
        let adopted = adopted
            .iter()
            .map(|it| it.ports.join(", "))
            .collect::<Vec<_>>();
        findings.push(ok(
            CHECK,
            match adopted.as_slice() {
                [] => "the tables of shop and gym are ours".to_owned(),
                adopted => format!("the contract is kept by the host's {}", adopted.join(", ")),
            },
        ));
    }
    if !adopted.is_empty()
        && let Ok(off) = adoption::unsigned(Unprepared(&mut tx)).await
    {
        findings.extend(waiting(&off));
    }
    if let (Ok(empty), Ok(jobs)) = (adoption::empty(&mut tx).await, jobs_in_use(settings)) {
        findings.extend(without_rows(&jobs.names(), &empty));
    }
    Some(findings)
}

fn of_record(adoption: &Adoption) -> Option<Finding> {
    let Adoption {
        ports,
        file_name,
        contract,
        ..
    } = adoption;
    let ports = ports.join(", ");
    if adoption.is_changed {
        let what = format!("the views of {ports} are others than {file_name} made");
        return Some(warning(
            CHECK,
            what,
            "run: jarvis-cron adopt check; then adopt drop, and adopt apply with the file",
        ));
    }
    let what = format!("{ports} were checked by version {contract} of the contract, of {VERSION}");
    (*contract != VERSION).then(|| warning(CHECK, what, "run: jarvis-cron adopt check"))
}

/// What waits for a signature.
fn waiting(off: &[String]) -> Option<Finding> {
    let what = format!(
        "the policies {} are off until they are signed",
        off.join(", ")
    );
    let fix = format!(
        "read what they erase for good: jarvis-cron policies list; then: jarvis-cron policies sign {}",
        off.join(" ")
    );
    (!off.is_empty()).then(|| warning("retention", what, fix))
}

/// A port that nothing fills is a job that has nothing to do for ever, and says
/// so each time.
fn without_rows(used: &[&str], empty: &[&Port]) -> Option<Finding> {
    const FILLED: [(&str, &str); 4] = [
        ("orders", "expire-stale-orders"),
        ("members", "daily-churn-analysis"),
        ("visits", "daily-churn-analysis"),
        ("kiosks", "health-check-kiosks"),
    ];
    let is_empty = |name: &str| empty.iter().any(|port| port.name == name);
    let names = FILLED
        .iter()
        .filter(|(port, job)| used.contains(job) && is_empty(port));
    let names: Vec<&str> = names.map(|(port, _)| *port).collect();
    let what = format!(
        "{} never had a row, so that jobs have nothing to do",
        names.join(", ")
    );
    let fix = "let the program that has them fill them, or adopt its tables (docs/adopting.md); \
               or name the jobs in use: JOBS";
    (!names.is_empty()).then(|| warning(CHECK, what, fix))
}
