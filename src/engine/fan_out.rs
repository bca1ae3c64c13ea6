//! Fan-out: a run that divides its work among shards, and does none itself.
//!
//! Publishes one message for each shard in one call, and is done: its lease
//! excludes the whole job and other divisions while it publishes, not its own
//! shards. QStash knows each message by the call that asked for it, and the
//! ledger what earlier tries of that call published, so that a redelivery
//! publishes only what is missing. Where one could not be published, the run
//! fails, and QStash delivers it again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::begin::Started;
use super::options::Shard;
use super::{Call, Completion, Fence, JobError, JobOutcome, Options, Publisher, Runner, context};
use crate::database::{self, TxLimits, Unprepared};
use crate::foreign_text::ForeignText;
use crate::qstash::client::{Failure, Message, Published};

/// How long QStash may take.
const TIMEOUT: Duration = Duration::from_secs(25);

/// What a run that fans out did.
#[derive(Debug, Default, Serialize)]
struct Results {
    /// Shards whose message QStash has.
    shards_published: usize,
    /// Those shards.
    shards: Vec<Sent>,
    /// Those that QStash refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Refused>,
}

/// A shard whose message QStash has.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sent {
    shard: u16,
    message_id: String,
}

#[derive(Debug, Serialize)]
struct Refused {
    shard: u16,
    error: ForeignText,
}

impl Runner {
    /// Publishes the shards that `call` asks for.
    pub(super) async fn fan_out(&self, call: &Call, started: &Started, count: u32) -> JobOutcome {
        let fence = Fence::new(self, &started.lease, false, super::progress());
        let mut results = Results::default();
        let published = fence.with_heartbeat(self.publish_all(call, started, count, &mut results));
        let end = published.await.flatten().map(|()| Completion::Done);
        let ids = results.shards.iter().map(|it| it.message_id.clone());
        let ids: Vec<String> = ids.collect();
        self.note_published(started.lease.run_id, &ids).await;
        results.shards_published = results.shards.len();
        JobOutcome {
            results: json!(results),
            end,
        }
    }

    async fn publish_all(
        &self,
        call: &Call,
        started: &Started,
        count: u32,
        results: &mut Results,
    ) -> Result<(), JobError> {
        let publisher = self.publisher.as_ref().ok_or_else(|| {
            let why = "fan_out needs QSTASH_TOKEN: set it, or leave fan_out out";
            JobError::Failed(anyhow::Error::msg(why))
        })?;
        let earlier = self.published_before(call).await?;
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        let (known, missing): (Vec<u16>, Vec<u16>) =
            (0..count).partition(|shard| earlier.contains_key(shard));
        results.shards = known.iter().map(|shard| earlier[shard].clone()).collect();
        let messages: anyhow::Result<Vec<Message>> = missing
            .iter()
            .map(|&index| message(publisher, call, started, Shard { index, count }))
            .collect();
        let messages = messages.map_err(JobError::Failed)?;
        if messages.is_empty() {
            return Ok(());
        }
        let answers = tokio::time::timeout(TIMEOUT, publisher.client.batch(&messages))
            .await
            .map_err(|_| JobError::unreachable("QStash did not answer in time"))?
            .map_err(publish_error)?;
        results.add(missing, answers)
    }

    /// What earlier tries of the same message published.
    async fn published_before(&self, call: &Call) -> Result<BTreeMap<u16, Sent>, JobError> {
        let Some(message_id) = &call.caller.message_id else {
            return Ok(BTreeMap::new());
        };
        let tries = async {
            let mut tx = database::begin(&self.db, TxLimits::READ).await?;
            sqlx::query_scalar!(
                r#"
                select results -> 'shards' as "shards!"
                  from job_runs
                 where message_id = $1
                   and job = $2
                   and results ? 'shards'
                 order by attempt
                "#,
                message_id,
                call.job.name,
            )
            .fetch_all(Unprepared(&mut tx))
            .await
        };
        let tries = tries
            .await
            .map_err(context("read what was published before"))?;
        let shards = tries
            .into_iter()
            .filter_map(|shards| serde_json::from_value::<Vec<Sent>>(shards).ok())
            .flatten();
        Ok(shards
            .map(|published| (published.shard, published))
            .collect())
    }
}

impl Results {
    /// Adds QStash's answers; fails when it refused one shard.
    fn add(
        &mut self,
        shards: Vec<u16>,
        answers: Vec<Result<Published, Failure>>,
    ) -> Result<(), JobError> {
        let mut first = None;
        for (shard, answer) in shards.into_iter().zip(answers) {
            match answer {
                Ok(published) => self.shards.push(Sent {
                    shard,
                    message_id: published.message_id.into(),
                }),
                Err(failure) => {
                    self.errors.push(Refused {
                        shard,
                        error: ForeignText::new(&failure.to_string()),
                    });
                    first.get_or_insert(failure);
                }
            }
        }
        self.shards.sort_by_key(|published| published.shard);
        first.map_or(Ok(()), |failure| Err(publish_error(failure)))
    }
}

/// The message of one shard: the same over all tries of the call.
fn message(
    publisher: &Publisher,
    call: &Call,
    started: &Started,
    shard: Shard,
) -> anyhow::Result<Message> {
    let run_id = started.lease.run_id;
    let options = Options {
        fan_out: None,
        shard: Some(shard),
        continuation_of: Some(run_id),
        ..call.options.clone()
    };
    let requested_by = call.caller.message_id.clone();
    let requested_by = requested_by.unwrap_or_else(|| run_id.to_string());
    let Shard { index, count } = shard;
    let deduplication_id = format!("shard-{index}-of-{count}-{requested_by}");
    publisher.message(call.job, &options, deduplication_id)
}

/// A later try may pass where there was no answer, or no clear one.
fn publish_error(failure: Failure) -> JobError {
    match failure {
        Failure::Unreachable(_) | Failure::Limited(_) | Failure::Unclear(_) => {
            JobError::Unreachable(failure.into())
        }
        _ => JobError::Failed(failure.into()),
    }
}
