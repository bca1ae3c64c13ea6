//! What an apply did, for people.

use std::fmt::Write as _;

use crate::qstash::apply::{Applied, Outcome};
use crate::qstash::client::Failure;
use crate::qstash::plan::Action;

/// A line for each schedule, a sum, and what to do about failures.
pub(super) fn in_words(applied: &[Applied]) -> String {
    let mut words = String::new();
    for one in applied {
        // Writing to a string cannot fail.
        let _ = writeln!(words, "{:<10} {}{}", word(one), one.id, remark(one));
    }
    let count = |outcome| applied.iter().filter(|one| one.outcome == outcome).count();
    let not_done = count(Outcome::Failed) + count(Outcome::NotTried);
    let _ = write!(
        words,
        "\n{} done, {} left as they are, {not_done} not done",
        count(Outcome::Done),
        count(Outcome::Left),
    );
    if not_done > 0 {
        let _ = write!(words, "; apply again when the cause is mended");
    }
    let mut mends: Vec<&str> = applied
        .iter()
        .filter_map(|one| one.failure().and_then(Failure::mend))
        .collect();
    mends.dedup();
    for mend in mends {
        let _ = write!(words, "\n{mend}");
    }
    words
}

fn word(one: &Applied) -> &'static str {
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
    let mut remark = if one.is_paused {
        " (paused)".to_owned()
    } else {
        String::new()
    };
    if let Some(why) = &one.why {
        let _ = write!(remark, ", to {}: {why}", verb(one.action));
    }
    remark
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Orphan => "delete",
        Action::Update | Action::Unchanged | Action::Foreign => "update",
    }
}
