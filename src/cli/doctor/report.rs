//! The findings as people and programs read them.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde_json::{Value, json};

use super::finding::{Finding, Level};

/// The width of the table, in characters.
const WIDTH: u16 = 120;

/// All of them, one below the other.
pub(super) fn in_a_table(findings: &[Finding]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table.set_header(["check", "", "what", "mend"]);
    for finding in findings {
        let mend = finding.mend.as_deref().unwrap_or_default();
        table.add_row([
            finding.check,
            finding.level.name(),
            finding.what.as_str(),
            mend,
        ]);
    }
    table
}

/// How many of each.
pub(super) fn in_a_line(findings: &[Finding]) -> String {
    let of = |level| count(findings, level);
    format!(
        "{} failed, {} with a warning, {} ok",
        of(Level::Failure),
        of(Level::Warning),
        of(Level::Ok)
    )
}

/// The same for programs.
pub(super) fn in_json(findings: &[Finding]) -> Value {
    let failures = count(findings, Level::Failure);
    json!({
        "healthy": failures == 0,
        "failures": failures,
        "warnings": count(findings, Level::Warning),
        "findings": findings,
    })
}

fn count(findings: &[Finding], level: Level) -> usize {
    let of_level = findings.iter().filter(|finding| finding.level == level);
    of_level.count()
}
