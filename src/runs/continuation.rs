//! Continuations: the rest of a partial run, asked for from QStash.
//!
//! A partial run is settled first, and then one message asks for its rest,
//! with the same options. QStash knows the message by the run's id, and the
//! ledger by the message's, so that a redelivery publishes it once more only
//! where nobody knows of it. Promises that a chain ends: a link that changed
//! nothing is the last, and so is the [`MOST_LINKS`]th. Nothing here may keep
//! an answer waiting: where there is no time, the next tick goes on.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::publisher::Publisher;
use super::record::{Record, Status};
use super::{Call, Runner, Trigger};
use crate::database::{self, TxLimits, Unnamed};
use crate::jobs::{Job, Options, Stop, during};

/// Runs in one chain at the most: an hour and a half of work, after which a
/// tick has to go on, and somebody may ask why.
pub const MOST_LINKS: i32 = 100;
/// How long QStash may take, when there is time, and when there is none.
const PATIENCE: Duration = Duration::from_secs(3);
const IMPATIENCE: Duration = Duration::from_millis(500);
/// How long noting it may take; QStash's deduplication stands in for the note.
const NOTE: Duration = Duration::from_secs(1);

/// Whether the rest of a partial run was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continuation {
    /// It was.
    Published {
        /// By this message; unknown when only the run that it led to is.
        message_id: Option<String>,
    },
    /// It was not: the next tick of the schedule goes on.
    Not(WhyNot),
}

/// Why the rest was not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyNot {
    /// Nothing was changed that could be continued.
    DryRun,
    /// A person at a command line sees that work is left.
    ByHand,
    /// There is no `QSTASH_TOKEN`.
    NoToken,
    /// This run did nothing, and so would the next.
    NoProgress,
    /// The chain is as long as it may be.
    Capped,
    /// QStash refused, or could not be reached in time; the log has more.
    Unpublished,
}

impl WhyNot {
    /// The reason for programs, in snake case.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::DryRun => "dry_run",
            Self::ByHand => "by_hand",
            Self::NoToken => "no_token",
            Self::NoProgress => "no_progress",
            Self::Capped => "capped",
            Self::Unpublished => "unpublished",
        }
    }

    /// The reason for people, with what happens now.
    #[must_use]
    pub fn sentence(self) -> String {
        match self {
            Self::DryRun => "a dry run is not continued".to_owned(),
            Self::ByHand => {
                "a run from the command line is not continued: run it again, or the next tick goes on".to_owned()
            }
            Self::NoToken => "the next tick goes on: QSTASH_TOKEN is not set".to_owned(),
            Self::NoProgress => {
                "the next tick goes on: this run made no progress, and its continuation would make none".to_owned()
            }
            Self::Capped => {
                format!("the next tick goes on: a chain has {MOST_LINKS} runs at the most")
            }
            Self::Unpublished => {
                "the next tick goes on: no continuation could be published, the log has the cause".to_owned()
            }
        }
    }
}

impl Runner {
    /// Sees to it that the rest of a partial run is asked for, once; done by
    /// `latest`, or a moment later. `None` when there is no rest.
    pub(super) async fn go_on(
        &self,
        call: &Call,
        record: &Record,
        latest: Instant,
    ) -> Option<Continuation> {
        if record.status != Status::Partial {
            return None;
        }
        if record.is_continued {
            let message_id = record.published.first().cloned();
            return Some(Continuation::Published { message_id });
        }
        let publisher = match self.may_go_on(call, record) {
            Ok(publisher) => publisher,
            Err(why) => return Some(Continuation::Not(why)),
        };
        let left = latest.saturating_duration_since(Instant::now());
        let asked = publish(publisher, call.job, record);
        let cause = match timeout(left.clamp(IMPATIENCE, PATIENCE), asked).await {
            Ok(Ok(message_id)) => {
                self.note_published(record.run_id, std::slice::from_ref(&message_id))
                    .await;
                let message_id = Some(message_id);
                return Some(Continuation::Published { message_id });
            }
            Ok(Err(cause)) => format!("{cause:#}"),
            Err(_) => "QStash did not answer in time".to_owned(),
        };
        let (job, run_id) = (call.job.name, record.run_id);
        tracing::warn!(job, %run_id, cause, "no continuation was published");
        Some(Continuation::Not(WhyNot::Unpublished))
    }

    fn may_go_on(&self, call: &Call, record: &Record) -> Result<&Publisher, WhyNot> {
        if record.dry_run {
            return Err(WhyNot::DryRun);
        }
        if call.caller.trigger == Trigger::Cli {
            return Err(WhyNot::ByHand);
        }
        let publisher = self.publisher.as_ref().ok_or(WhyNot::NoToken)?;
        if !has_come_further(call.job, record) {
            return Err(WhyNot::NoProgress);
        }
        if record.chain_position >= MOST_LINKS {
            return Err(WhyNot::Capped);
        }
        Ok(publisher)
    }

    /// Notes what a run published. Without the note QStash still knows the
    /// messages for ten minutes, and the ledger the runs they led to.
    pub(super) async fn note_published(&self, run_id: Uuid, message_ids: &[String]) {
        let noted = timeout(NOTE, async {
            let mut tx = database::begin(&self.db, TxLimits::CONTROL).await?;
            note(Unnamed(&mut tx), run_id, message_ids).await?;
            tx.commit().await
        });
        let error: Stop = match noted.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => during("note a message")(error),
            Err(_) => Stop::Unreachable(anyhow::anyhow!("note a message: no answer in time")),
        };
        tracing::warn!(%run_id, ?message_ids, %error, "a message was published and not noted");
    }
}

/// Whether a run did something that the next need not do again: a count of
/// its job's, or another place to go on from than it had begun at.
fn has_come_further(job: &Job, record: &Record) -> bool {
    let counts = job
        .totals
        .iter()
        .filter_map(|kind| record.results.get(kind));
    let mut counts = counts.filter_map(Value::as_f64);
    record.has_moved || counts.any(|count| count > 0.0)
}

async fn publish(publisher: &Publisher, job: &Job, record: &Record) -> anyhow::Result<String> {
    let mut options: Options = serde_json::from_value(record.options.clone())?;
    options.continuation_of = Some(record.run_id);
    let deduplication_id = format!("continuation-{}", record.run_id);
    let message = publisher.message(job, &options, deduplication_id)?;
    Ok(publisher.client.publish(&message).await?.message_id)
}

async fn note(db: Unnamed<'_>, run_id: Uuid, message_ids: &[String]) -> sqlx::Result<()> {
    sqlx::query!(
        "update job_runs
            set published = published || array(
                    select id
                      from unnest($2::text[]) with ordinality as given (id, place)
                     where id <> all(published)
                     order by place
                )
          where id = $1",
        run_id,
        message_ids,
    )
    .execute(db)
    .await?;
    Ok(())
}
