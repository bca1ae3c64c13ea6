//! Progress of long work: a spinner on a terminal, nothing in a pipe.

use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::Value;

/// A spinner with this message.
pub(crate) fn waiting(what: &str) -> ProgressBar {
    // indicatif draws on standard error, and only where that is a terminal.
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// The counts of a run so far, in one line.
pub(crate) fn counts(results: &Value) -> String {
    let Value::Object(results) = results else {
        return String::new();
    };
    let counts: Vec<String> = results
        .iter()
        .filter(|(_, value)| value.is_number())
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    counts.join(", ")
}
