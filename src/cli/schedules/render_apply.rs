//! The outcome of an apply, as text.

use std::fmt::Write as _;

use crate::qstash::apply::{Applied, Outcome};
use crate::qstash::client::Failure;
use crate::qstash::plan::Action;

/// A line for each schedule, the counts, and how to fix the failures.
pub(super) fn render(applied: &[Applied]) -> String {
    let mut text = String::new();
    for one in applied {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<10} {}{}", result(one), one.id, remark(one));
    }
    let count = |outcome| applied.iter().filter(|one| one.outcome == outcome).count();
    let not_done = count(Outcome::Failed) + count(Outcome::NotTried);
    let _ = write!(
        text,
        "\n{} done, {} left as they are, {not_done} not done",
        count(Outcome::Done),
        count(Outcome::Left),
    );
    if not_done > 0 {
        let _ = write!(text, "; apply again when the cause is fixed");
    }
    let failures = applied.iter().filter_map(Applied::failure);
    let mut hints: Vec<&str> = failures.filter_map(Failure::hint).collect();
    hints.dedup();
    for hint in hints {
        let _ = write!(text, "\n{hint}");
    }
    text
}

fn result(one: &Applied) -> &'static str {
    match (one.outcome, one.action) {
        (Outcome::Done, Action::Create) => "created",
        (Outcome::Done, Action::Update) => "updated",
        (Outcome::Done, Action::Orphan) => "deleted",
        (Outcome::Done, _) => "rewritten",
        (Outcome::Left, action) => action.name(),
        (Outcome::Failed, _) => "NOT DONE",
        (Outcome::NotTried, _) => "NOT TRIED",
    }
}

fn remark(one: &Applied) -> String {
    let paused = if one.is_paused { " (paused)" } else { "" };
    let verb = match one.action {
        Action::Create => "create",
        Action::Orphan => "delete",
        Action::Update | Action::Unchanged | Action::Foreign => "update",
    };
    match &one.why {
        Some(why) => format!("{paused}, to {verb}: {why}"),
        None => paused.to_owned(),
    }
}
