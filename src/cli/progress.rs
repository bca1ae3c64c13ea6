//! Progress of long work: a spinner on a terminal, nothing in a pipe.

use std::time::Duration;

use indicatif::ProgressBar;

/// A spinner with this message.
pub(crate) fn waiting(what: &str) -> ProgressBar {
    // indicatif draws on standard error, and only where that is a terminal.
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}
