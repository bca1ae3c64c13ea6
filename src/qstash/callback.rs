//! The failure callback: QStash's report of a message that it gave up on.
//!
//! Read leniently: every field but the message id may be missing, cut off or
//! absurd, and is then unknown. The field `sourceHeader` carries our own
//! secret, so it is skipped and never built, and no error quotes the body.
//!
//! Source: <https://upstash.com/docs/qstash/features/callbacks>.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::foreign_text::ForeignText;

/// The longest id that is accepted, in bytes.
const LONGEST_ID: usize = 200;
/// The longest address that is kept, in bytes.
const LONGEST_URL: usize = 500;
/// How much of an answer is decoded, in bytes of base64.
const MOST_ANSWER: usize = 16 * 1024;
/// The longest body of ours that is decoded, in bytes of base64.
const MOST_BODY: usize = 88 * 1024;

/// A message that QStash has given up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Its id: the same as in `Upstash-Message-Id` of its deliveries.
    pub message_id: String,
    /// The address that was called, without its query.
    pub url: Option<ForeignText>,
    /// That query, for the options in it; nothing else of it is kept.
    pub query: Option<String>,
    /// The schedule it came from.
    pub schedule_id: Option<String>,
    /// Where QStash keeps it, to be delivered again from there.
    pub dlq_id: Option<String>,
    /// The HTTP status of the last answer; `None` when there was none.
    pub status: Option<i32>,
    /// Deliveries after the first.
    pub retried: Option<i32>,
    /// The most there could have been.
    pub max_retries: Option<i32>,
    /// The beginning of the last answer's body.
    pub answer: Option<ForeignText>,
    /// The body that was delivered.
    pub body: Option<Vec<u8>>,
    /// When it was to be delivered first.
    pub due_at: Option<DateTime<Utc>>,
}

/// Why a callback is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No JSON object with each field once.
    #[error("the body is not the JSON object of a failure callback (line {line}, column {column})")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// It names no message.
    #[error("sourceMessageId is missing or cannot be an id: which message failed is not said")]
    NoMessage,
}

/// A failure callback as QStash writes it:
/// <https://upstash.com/docs/qstash/features/callbacks>. What is not listed is
/// skipped, and a value of another type is unknown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureCallback {
    /// The last answer's status.
    #[serde(default)]
    #[schema(value_type = i64)]
    status: Value,
    /// The last answer, in Base64; may be cut off.
    #[serde(default)]
    #[schema(value_type = String)]
    body: Value,
    /// Deliveries after the first.
    #[serde(default)]
    #[schema(value_type = i64)]
    retried: Value,
    /// The most there could have been.
    #[serde(default)]
    #[schema(value_type = i64)]
    max_retries: Value,
    /// Its place among the dead letters.
    #[serde(default)]
    #[schema(value_type = String)]
    dlq_id: Value,
    /// The message that was given up on.
    #[serde(default)]
    #[schema(value_type = String, required)]
    source_message_id: Value,
    /// What was called.
    #[serde(default)]
    #[schema(value_type = String)]
    url: Value,
    /// What was delivered, in Base64.
    #[serde(default)]
    #[schema(value_type = String)]
    source_body: Value,
    /// When it was to be delivered first, in milliseconds since 1970.
    #[serde(default)]
    #[schema(value_type = i64)]
    not_before: Value,
    /// When it was published, in milliseconds since 1970.
    #[serde(default)]
    #[schema(value_type = i64)]
    created_at: Value,
    /// Which schedule the message came from, if any.
    #[serde(default)]
    #[schema(value_type = String)]
    schedule_id: Value,
}

impl Callback {
    /// Reads the body of a callback.
    ///
    /// # Errors
    /// When it is not a JSON object, or names no message.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let written: FailureCallback =
            serde_json::from_slice(body).map_err(|error| Unreadable::Json {
                line: error.line(),
                column: error.column(),
            })?;
        let id = |value| text(value, LONGEST_ID).map(|id| ForeignText::new(&id).into());
        let (url, query) = text(&written.url, LONGEST_URL)
            .map(|url| apart(&url))
            .unzip();
        let (created_at, not_before) = (moment(&written.created_at), moment(&written.not_before));
        Ok(Self {
            message_id: id(&written.source_message_id).ok_or(Unreadable::NoMessage)?,
            url: url.as_deref().map(ForeignText::new),
            query: query.flatten(),
            schedule_id: id(&written.schedule_id),
            dlq_id: id(&written.dlq_id),
            status: number(&written.status, 100, 599),
            retried: number(&written.retried, 0, 1_000),
            max_retries: number(&written.max_retries, 0, 1_000),
            answer: decoded(&written.body, MOST_ANSWER)
                .map(|answer| ForeignText::new(&String::from_utf8_lossy(&answer))),
            body: decoded(&written.source_body, usize::MAX).filter(|body| body.len() <= MOST_BODY),
            due_at: created_at.max(not_before),
        })
    }
}

/// A text of printable ASCII that is not too long.
fn text(value: &Value, longest: usize) -> Option<String> {
    let text = value.as_str()?.trim();
    let is_sound =
        (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    is_sound.then(|| text.to_owned())
}

/// An address, and its query where it has one.
fn apart(url: &str) -> (String, Option<String>) {
    let url = url.split('#').next().unwrap_or_default();
    match url.split_once('?') {
        Some((before, query)) => (before.to_owned(), Some(query.to_owned())),
        None => (url.to_owned(), None),
    }
}

/// A whole number, or a text that is one.
fn whole(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

fn number(value: &Value, least: i32, most: i32) -> Option<i32> {
    let number = i32::try_from(whole(value)?).ok()?;
    (least..=most).contains(&number).then_some(number)
}

/// Milliseconds since 1970, of a year that can be meant.
fn moment(value: &Value) -> Option<DateTime<Utc>> {
    const YEAR_2000: i64 = 946_684_800_000;
    const YEAR_2200: i64 = 7_258_118_400_000;
    whole(value)
        .filter(|ms| (YEAR_2000..YEAR_2200).contains(ms))
        .and_then(DateTime::from_timestamp_millis)
}

/// Base64 of either alphabet, which may have been cut off anywhere.
fn decoded(value: &Value, most: usize) -> Option<Vec<u8>> {
    let text = value.as_str()?.trim().trim_end_matches('=').as_bytes();
    let text = &text[..text.len().min(most)];
    // A single character of a group of four is not a byte.
    let text = match text.len() % 4 {
        1 => &text[..text.len() - 1],
        _ => text,
    };
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    [STANDARD, URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok())
}
