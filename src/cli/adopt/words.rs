//! What `adopt` prints.

use std::process::ExitCode;

use serde_json::json;

use super::{Applied, begin};
use crate::cli::doctor::explained;
use crate::cli::println;
use crate::config::Database;
use crate::database::adoption::contract::{self, PORTS};
use crate::database::adoption::{self, Adoption, Finding, Level, Refusal};
use crate::database::{Transaction, Unprepared};
use crate::foreign_text::printable;

/// Prints what was found; `None` where nothing may be kept.
pub(super) fn told(applied: Applied, as_json: bool) -> Option<(Transaction, Vec<Finding>)> {
    let (findings, refused) = match &applied {
        Ok((_, findings)) | Err(Refusal::Broken(findings)) => (findings.clone(), None),
        Err(refusal) => (Vec::new(), Some(refused(refusal))),
    };
    if as_json && applied.is_err() {
        let shown = json!({ "is_kept": false, "findings": findings, "refused": refused });
        println(format_args!("{shown:#}"));
    } else if !as_json {
        show(&findings);
        for why in refused.into_iter().flatten() {
            eprintln!("jarvis-cron: {}", printable(&why));
        }
        if applied.is_err() {
            eprintln!("Nothing was changed.");
        }
    }
    applied.ok()
}

pub(super) fn refused(refusal: &Refusal) -> Vec<String> {
    match refusal {
        Refusal::Unfit(why) => why.clone(),
        Refusal::Broken(_) => Vec::new(),
        Refusal::InUse => vec![
            "others hold a lock that it needs, or another migrate or adopt is at work: try again"
                .into(),
        ],
        Refusal::Failed(error) => {
            let (what, fix) = explained(error);
            vec![format!("{what}; {fix}")]
        }
    }
}

pub(super) fn show(findings: &[Finding]) {
    for finding in findings {
        let level = match finding.level {
            Level::Failure => "FAILURE",
            Level::Warning => "warning",
            Level::Note => "note",
        };
        println(printable(&format!("{level} {finding}")));
    }
}

pub(super) fn in_lines(dropped: &adoption::Dropped) -> Vec<String> {
    let mut lines = vec![
        format!("Dropped: {}", dropped.gone.join(", ")),
        format!("Ours again: {}", dropped.ports.join(", ")),
    ];
    if !dropped.kept.is_empty() {
        let kept = dropped.kept.join(", ");
        lines.push(format!(
            "Kept for the next apply, with their rows (drop --all drops them too): {kept}"
        ));
    }
    if dropped.unchecked > 0 {
        let unchecked = dropped.unchecked;
        lines.push(format!("{unchecked} foreign keys hold for new rows only: rows of ours are about rows of the host's"));
    }
    lines
}

pub(super) fn of_left(left: &[String]) -> Vec<String> {
    let mut lines = vec!["Nothing is adopted.".to_owned()];
    if !left.is_empty() {
        lines.push(format!("Dropped what was kept: {}", left.join(", ")));
    }
    lines
}

pub(super) async fn status(database: &Database, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut tx = begin(database).await?;
    let adopted = adoption::adoptions(Unprepared(&mut tx)).await?;
    tx.rollback().await;
    if as_json {
        let shown = adopted.iter().map(|it| {
            json!({
                "ports": it.ports,
                "file": it.file_name,
                "file_sha256": it.file_sha256,
                "contract": it.contract,
                "is_changed": it.is_changed,
                "applied_at": it.applied_at,
                "applied_by": it.applied_by,
            })
        });
        println(format_args!(
            "{:#}",
            json!({ "contract": contract::VERSION, "adoptions": shown.collect::<Vec<_>>() })
        ));
        return Ok(ExitCode::SUCCESS);
    }
    for adoption in &adopted {
        println(printable(&said(adoption)));
    }
    let ours = PORTS.iter().map(|port| port.name.to_owned());
    let ours: Vec<String> = ours
        .filter(|name| !adopted.iter().any(|it| it.ports.contains(name)))
        .collect();
    println(format_args!("Tables of our own: {}", ours.join(", ")));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn said(adoption: &Adoption) -> String {
    let Adoption {
        ports,
        file_name,
        file_sha256,
        contract,
        applied_at,
        applied_by,
        is_changed,
        ..
    } = adoption;
    let sha256 = file_sha256.get(..12).unwrap_or_default();
    let at = applied_at.format("%Y-%m-%d %H:%M UTC");
    let changed = if *is_changed {
        "; its views were changed since: run jarvis-cron adopt check"
    } else {
        ""
    };
    format!(
        "{} by {file_name} (sha256 {sha256}…, contract {contract}), {at}, {applied_by}{changed}",
        ports.join(", ")
    )
}
