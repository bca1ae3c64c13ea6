//! Logs: JSON for machines, pretty for people, to standard error.
//!
//! One event per run, with the fields to find it by (`job`, `run_id`,
//! `message_id`, `status`, `duration_ms`); never a body, a token or a secret.
//! A `traceparent` header (<https://www.w3.org/TR/trace-context/>) puts its
//! trace id on every event of the request.

use tracing_subscriber::EnvFilter;

use crate::foreign_text::ForeignText;

/// How to log.
#[derive(Debug)]
pub struct Settings {
    /// JSON, one event a line; otherwise for reading.
    pub json: bool,
    /// Which events.
    pub filter: EnvFilter,
}

/// Reads a filter such as `info` or `jarvis_cron=debug`.
#[must_use]
pub fn filter(text: &str) -> Option<EnvFilter> {
    EnvFilter::builder().parse(text).ok()
}

/// Logs a panic where it happens, under the id of the request that did.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        // It may quote a row, or what another said.
        let cause = panic.payload_as_str().map(ForeignText::new);
        let cause = cause.as_deref();
        tracing::error!(at, cause, "Panicked");
    }));
}

/// Begins to log, panics too; a second call changes nothing.
pub fn init(settings: Settings) {
    log_panics();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(settings.filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // The error only says that there is a subscriber already.
    let _ = if settings.json {
        logs.json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init()
    } else {
        logs.compact().try_init()
    };
}

/// The trace id of a `traceparent` header, if it is one.
#[must_use]
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let parts: Vec<&str> = traceparent.split('-').take(4).collect();
    let is_hex = |(part, length): (&&str, usize)| {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        part.len() == length && part.bytes().all(is_digit)
    };
    let is_valid = parts.len() == 4
        && parts.iter().zip([2, 32, 16, 2]).all(is_hex)
        && parts[0] != "ff"
        && parts[1].bytes().any(|byte| byte != b'0');
    is_valid.then(|| parts[1])
}
