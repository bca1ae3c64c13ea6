//! A finding of `doctor`: what was checked, its level, and the fix. Rendered
//! as a table or as JSON.

use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::wide_table;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be, or left out on purpose.
    Ok,
    /// It works now, but will not always.
    Warning,
    /// It does not work.
    Failure,
}

/// The result of one check.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    /// The check, in one word.
    pub(super) check: &'static str,
    /// How bad it is.
    pub(super) level: Level,
    /// The finding, in a sentence.
    pub(super) what: String,
    /// How to fix it; `None` where nothing is wrong.
    #[serde(rename = "mend")]
    pub(super) fix: Option<String>,
}

/// As it should be.
pub(super) fn ok(check: &'static str, what: impl Into<String>) -> Finding {
    Finding {
        check,
        level: Level::Ok,
        what: what.into(),
        fix: None,
    }
}

/// It works now, but will not always.
pub(super) fn warning(
    check: &'static str,
    what: impl Into<String>,
    fix: impl Into<String>,
) -> Finding {
    Finding {
        level: Level::Warning,
        fix: Some(fix.into()),
        ..ok(check, what)
    }
}

/// It does not work.
pub(super) fn failure(
    check: &'static str,
    what: impl Into<String>,
    fix: impl Into<String>,
) -> Finding {
    Finding {
        level: Level::Failure,
        ..warning(check, what, fix)
    }
}

/// A row for each finding, and a line with the counts.
pub(super) fn render_table(findings: &[Finding]) -> String {
    let mut table = wide_table(["check", "", "what", "fix"]);
    for finding in findings {
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Failure => "FAILURE",
        };
        let fix = finding.fix.as_deref().unwrap_or_default();
        table.add_row([finding.check, level, &finding.what, fix]);
    }
    let count = |level| count(findings, level);
    let (failed, warned) = (count(Level::Failure), count(Level::Warning));
    let ok = count(Level::Ok);
    format!("{table}\n{failed} failed, {warned} with a warning, {ok} ok")
}

/// The same for programs.
pub(super) fn render_json(findings: &[Finding]) -> Value {
    let failures = count(findings, Level::Failure);
    json!({
        "healthy": failures == 0,
        "failures": failures,
        "warnings": count(findings, Level::Warning),
        "findings": findings,
    })
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|it| it.level == level).count()
}
