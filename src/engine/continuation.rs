//! Continuations: the rest of a partial run, asked for from QStash.
//!
//! A partial run is settled first, and then one message asks for its rest,
//! with the same options. QStash knows the message by the run's id, and the
//! ledger by the message's, so that a redelivery publishes it once more only
//! where neither knows it. Promises that a chain ends: a link that changed
//! nothing is the last, unless its job says when to go on (`resume` in its
//! results), and so is the [`MAX_CHAIN_LENGTH`]th. Nothing here may delay an
//! answer for long: where there is no time, the next tick continues.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{Call, Job, JobError, Options, Publisher, Run, Runner, Status, Trigger, context};
use crate::database::{self, TxLimits};

/// Runs in one chain at the most: an hour and a half of work, after which the
/// next tick has to continue, and an operator may ask why.
const MAX_CHAIN_LENGTH: i32 = 100;
/// How long QStash may take, when there is time, and when there is none.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(3);
const LATE_PUBLISH_TIMEOUT: Duration = Duration::from_millis(500);
/// How long noting it may take; without the note, QStash deduplicates.
const NOTE_TIMEOUT: Duration = Duration::from_secs(1);

/// Whether the rest of a partial run was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continuation {
    /// It was.
    Published {
        /// By this message; unknown when only the run that it led to is.
        message_id: Option<String>,
    },
    /// It was not: the next tick of the schedule continues.
    Not(NotContinued),
}

/// Why the rest was not asked for; for people with what happens now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum NotContinued {
    /// Nothing was changed that could be continued.
    #[error("a dry run is not continued")]
    DryRun,
    /// A person at a command line sees that work is left.
    #[error(
        "a run from the command line is not continued: run it again, or the next tick continues"
    )]
    ByHand,
    /// There is no `QSTASH_TOKEN`.
    #[error("the next tick continues: QSTASH_TOKEN is not set")]
    NoToken,
    /// This run did nothing, and so would the next.
    #[error(
        "the next tick continues: this run made no progress, and its continuation would make none"
    )]
    NoProgress,
    /// The chain is as long as it may be.
    #[error(
        "the next tick continues: a chain has {} runs at the most",
        MAX_CHAIN_LENGTH
    )]
    Capped,
    /// QStash refused, or could not be reached in time; the log has more.
    #[error("the next tick continues: no continuation could be published, the log has the cause")]
    Unpublished,
}

impl NotContinued {
    /// The reason for programs, in snake case.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Runner {
    /// Asks for the rest of a partial run, once; answers by `latest`, or a
    /// moment later. `None` when there is no rest.
    pub(super) async fn continue_run(
        &self,
        call: &Call,
        run: &Run,
        latest: Instant,
    ) -> Option<Continuation> {
        if run.status != Status::Partial {
            return None;
        }
        if run.is_continued() {
            let message_id = run.published.first().cloned();
            return Some(Continuation::Published { message_id });
        }
        let publisher = match self.may_continue(call, run) {
            Ok(publisher) => publisher,
            Err(why) => return Some(Continuation::Not(why)),
        };
        let left = latest.saturating_duration_since(Instant::now());
        let asked = publish(publisher, call.job, run);
        let cause = match timeout(left.clamp(LATE_PUBLISH_TIMEOUT, PUBLISH_TIMEOUT), asked).await {
            Ok(Ok(message_id)) => {
                self.note_published(run.id, std::slice::from_ref(&message_id))
                    .await;
                let message_id = Some(message_id);
                return Some(Continuation::Published { message_id });
            }
            Ok(Err(cause)) => format!("{cause:#}"),
            Err(_) => "QStash did not answer in time".to_owned(),
        };
        let (job, run_id) = (call.job.name, run.id);
        tracing::warn!(job, %run_id, cause, "Failed to publish a continuation");
        Some(Continuation::Not(NotContinued::Unpublished))
    }

    fn may_continue(&self, call: &Call, run: &Run) -> Result<&Publisher, NotContinued> {
        if run.dry_run {
            return Err(NotContinued::DryRun);
        }
        if call.caller.trigger == Trigger::Cli {
            return Err(NotContinued::ByHand);
        }
        let publisher = self.publisher.as_ref().ok_or(NotContinued::NoToken)?;
        if pause_before(run).is_none() && !made_progress(call.job, run) {
            return Err(NotContinued::NoProgress);
        }
        if run.chain_position >= MAX_CHAIN_LENGTH {
            return Err(NotContinued::Capped);
        }
        Ok(publisher)
    }

    /// Notes what a run published. Without the note QStash still knows the
    /// messages for ten minutes, and the ledger the runs they led to.
    pub(super) async fn note_published(&self, run_id: Uuid, message_ids: &[String]) {
        let note = sqlx::query!(
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
        );
        let noted = database::execute(&self.db, TxLimits::CONTROL, note);
        let error = match timeout(NOTE_TIMEOUT, noted).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => context("note a message")(error),
            Err(_) => JobError::unreachable("note a message: no answer in time"),
        };
        tracing::warn!(%run_id, ?message_ids, %error, "Failed to note a published message");
    }
}

/// Whether a run did something that the next need not do again: one of its
/// job's counts is not zero, or its checkpoint moved.
fn made_progress(job: &Job, run: &Run) -> bool {
    let counts = job.totals.iter().filter_map(|kind| run.results.get(kind));
    let mut counts = counts.filter_map(Value::as_f64);
    run.checkpoint_moved || counts.any(|count| count > 0.0)
}

/// How long the rest of a run has to wait, where its job says so.
fn pause_before(run: &Run) -> Option<u64> {
    run.results["resume"]["after_seconds"].as_u64()
}

async fn publish(publisher: &Publisher, job: &Job, run: &Run) -> anyhow::Result<String> {
    let mut options: Options = serde_json::from_value(run.options.clone())?;
    options.continuation_of = Some(run.id);
    let deduplication_id = format!("continuation-{}", run.id);
    let mut message = publisher.message(job, &options, deduplication_id)?;
    if let Some(seconds) = pause_before(run) {
        message.delay(seconds);
    }
    Ok(publisher.client.publish(&message).await?.message_id.into())
}
