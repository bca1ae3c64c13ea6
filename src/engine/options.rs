//! What a caller may ask of a job: one set of options for all of them.
//!
//! Read from the JSON body and the query string alike. An unknown option is
//! refused, and so is one that the job has no use for: an option that is
//! silently ignored would be a promise not kept.

use std::ops::RangeInclusive;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// The most rows of one batch; the job chooses when the caller does not.
const MAX_BATCH_SIZE: u32 = 10_000;
/// The rows a dry run looks at when the caller names no limit.
const DRY_RUN_LIMIT: u64 = 10_000;
/// How many shards a run may be divided into: more than a message each for
/// that many replicas would only cost messages.
const SHARDS: RangeInclusive<u32> = 2..=64;

/// The options of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Options {
    /// Change nothing; answer with exactly what would be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Judge as of that moment; rows dated later are not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<DateTime<Utc>>,
    /// Rows per transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000)]
    #[param(minimum = 1, maximum = 10_000)]
    pub batch_size: Option<u32>,
    /// Rows per run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    #[param(minimum = 1)]
    pub limit: Option<u32>,
    /// Only this gym.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gym_id: Option<Uuid>,
    /// Only this part of the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub shard: Option<Shard>,
    /// Divide the work among that many runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan_out: Option<u32>,
    /// Do the work again although it was done before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// The run whose rest this one does; set by the service itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuation_of: Option<Uuid>,
}

/// One of `count` disjoint parts of the rows, by the hash of their id.
///
/// Written `{"index": 0, "count": 4}` in JSON, `0/4` in a query string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "ShardInput")]
pub struct Shard {
    /// From 0.
    pub index: u16,
    /// How many there are.
    pub count: u16,
}

impl Options {
    /// Reads the options of a JSON body and a query string together; an empty
    /// body asks for nothing.
    ///
    /// # Errors
    /// A sentence for the caller.
    pub fn read(body: &[u8], query: &str) -> Result<Self, OptionsError> {
        let mut given = match body.trim_ascii() {
            b"" => Map::new(),
            body => object(body)?,
        };
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query)
            .map_err(|error| OptionsError::Option(format!("the query is unreadable: {error}")))?;
        for (name, value) in pairs {
            if given.insert(name.clone(), typed(value)).is_some() {
                return Err(OptionsError::Option(format!(
                    "the option {name} is given twice"
                )));
            }
        }
        serde_json::from_value(Value::Object(given))
            .map_err(|error| OptionsError::Option(error.to_string()))
    }

    /// Rows per batch: as asked, or the job's own choice.
    #[must_use]
    pub fn batch_size_or(&self, default: u32) -> i64 {
        i64::from(self.batch_size.unwrap_or(default))
    }

    /// The most rows this run may look at.
    #[must_use]
    pub fn row_limit(&self) -> u64 {
        match self.limit {
            Some(limit) => limit.into(),
            None if self.dry_run => DRY_RUN_LIMIT,
            None => u64::MAX,
        }
    }

    /// The shard's number and how many there are: the whole is 0 of 1.
    #[must_use]
    pub fn shard_of(&self) -> (i32, i32) {
        self.shard
            .map_or((0, 1), |shard| (shard.index.into(), shard.count.into()))
    }

    /// Refuses values out of bounds, and options outside `accepts`.
    ///
    /// # Errors
    /// A sentence for the caller.
    pub fn check(&self, job: &str, accepts: &[&str]) -> Result<(), String> {
        for name in self.given() {
            if !accepts.contains(&name.as_str()) {
                let known = accepts.join(", ");
                return Err(format!(
                    "{job} has no use for the option {name}; it takes {known}"
                ));
            }
        }
        if self
            .as_of
            .is_some_and(|moment| moment < DateTime::UNIX_EPOCH)
        {
            return Err("as_of must be after 1970".to_owned());
        }
        self.check_fan_out()?;
        match (self.batch_size, self.limit) {
            (Some(0), _) => Err("batch_size must be at least 1".to_owned()),
            (Some(size), _) if size > MAX_BATCH_SIZE => {
                Err(format!("batch_size must be at most {MAX_BATCH_SIZE}"))
            }
            (_, Some(0)) => Err("limit must be at least 1".to_owned()),
            _ => Ok(()),
        }
    }

    fn check_fan_out(&self) -> Result<(), String> {
        let Some(shards) = self.fan_out else {
            return Ok(());
        };
        let (fewest, most) = (SHARDS.start(), SHARDS.end());
        if !SHARDS.contains(&shards) {
            return Err(format!("fan_out must be between {fewest} and {most}"));
        }
        let reason = if self.shard.is_some() {
            "shard: a shard is not divided again"
        } else if self.dry_run {
            "dry_run: a dry run publishes nothing; leave fan_out out, or give one shard"
        } else if self.continuation_of.is_some() {
            "continuation_of: a continuation does the rest of one run"
        } else {
            return Ok(());
        };
        Err(format!("fan_out does not go with {reason}"))
    }

    /// The names of the options that were given.
    fn given(&self) -> Vec<String> {
        match serde_json::to_value(self) {
            Ok(Value::Object(options)) => options.into_iter().map(|(k, _)| k).collect(),
            _ => Vec::new(),
        }
    }
}

/// Why options could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// The body is no JSON object.
    #[error("{0}")]
    Json(String),
    /// An option is unknown, doubled, or of the wrong type.
    #[error("{0}")]
    Option(String),
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum ShardInput {
    Text(String),
    Fields { index: u16, count: u16 },
}

impl TryFrom<ShardInput> for Shard {
    type Error = String;

    fn try_from(input: ShardInput) -> Result<Self, String> {
        match input {
            ShardInput::Text(text) => text.parse(),
            ShardInput::Fields { index, count } if index < count => Ok(Self { index, count }),
            ShardInput::Fields { .. } => Err("shard.index must be below shard.count".to_owned()),
        }
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (index, count) = text
            .split_once('/')
            .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)))
            .ok_or("a shard is written 0/4: its index, from 0, and how many there are")?;
        Self::try_from(ShardInput::Fields { index, count })
    }
}

/// The fields of a JSON object, none of them given twice.
fn object(body: &[u8]) -> Result<Map<String, Value>, OptionsError> {
    let given: Value = serde_json::from_slice(body)
        .map_err(|error| OptionsError::Json(format!("the body is not JSON: {error}")))?;
    let Value::Object(given) = given else {
        return Err(OptionsError::Json(
            "the body must be a JSON object".to_owned(),
        ));
    };
    // A map keeps the last of two equal names; the options themselves refuse.
    serde_json::from_slice::<Options>(body)
        .map_err(|error| OptionsError::Option(error.to_string()))?;
    Ok(given)
}

/// Query pairs as JSON, where `true` and `7` are what they look like.
fn typed(value: String) -> Value {
    if let Ok(flag) = value.parse::<bool>() {
        return flag.into();
    }
    value
        .parse::<u64>()
        .map_or_else(|_| Value::String(value), Value::from)
}
