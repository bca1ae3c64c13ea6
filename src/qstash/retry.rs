//! When QStash delivers a message again: for `trigger` and for QStash's double.
//!
//! Pure: the answer and the number of attempts go in, a wait comes out.
//!
//! Source: <https://upstash.com/docs/qstash/features/retry>.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;

/// The longest wait.
const LONGEST: Duration = Duration::from_hours(24);

/// The headers that may name the wait; the first that is readable counts.
const WAIT_HEADERS: [&str; 4] = [
    "retry-after",
    "x-ratelimit-reset",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
];

/// Whether this answer says that no retry can succeed.
#[must_use]
pub fn is_final(status: u16, headers: &HeaderMap) -> bool {
    let is_set = headers
        .get("upstash-nonretryable-error")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    status == 489 && is_set
}

/// The wait before the retry number `retry`: what the answer asks for, or
/// QStash's backoff.
#[must_use]
pub fn wait(headers: &HeaderMap, now: DateTime<Utc>, retry: u32) -> Duration {
    requested(headers, now).unwrap_or_else(|| backoff(retry))
}

/// The wait before the retry number `retry`, from 1: 12 s, 2 min 28 s,
/// 30 min 8 s, 6 h 7 min, then a day.
#[must_use]
pub fn backoff(retry: u32) -> Duration {
    let seconds = (2.5 * f64::from(retry)).exp();
    Duration::try_from_secs_f64(seconds.floor()).map_or(LONGEST, |wait| wait.min(LONGEST))
}

/// The wait that the answer asks for, from `now` on. One that is longer than a
/// day or cannot be read is ignored.
#[must_use]
pub fn requested(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let values = WAIT_HEADERS.iter().filter_map(|name| headers.get(*name));
    let mut waits = values.filter_map(|value| parse_wait(value.to_str().ok()?.trim(), now));
    waits.next().filter(|wait| *wait <= LONGEST)
}

/// Seconds, a date as RFC 1123 writes it, or a duration as Go writes it.
fn parse_wait(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    if let Ok(date) = DateTime::parse_from_rfc2822(text) {
        // A date that has passed asks for no wait.
        return Some(
            (date.with_timezone(&Utc) - now)
                .to_std()
                .unwrap_or_default(),
        );
    }
    go_duration(text)
}

/// Such as `6m5s`, `1.5h` or `300ms`: <https://pkg.go.dev/time#ParseDuration>.
fn go_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("\u{b5}s", 1e-6),
        ("\u{3bc}s", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3_600.0),
    ];
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit());
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let (_, worth) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * worth;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok())?
}
