//! Mails the reports: each to each of its recipients once.
//!
//! Every try carries the same idempotency key. A process that dies between
//! sending and noting leaves a mail unsure: it is tried again for as long as
//! Resend remembers that key, and then left alone. So a run that leaves mails
//! without an answer says that it could not go on, and QStash comes again
//! within the hour; the reports are committed by then, whatever becomes of
//! the mail. No transaction is open while a mail is sent. A dry run and a
//! replay of a past moment mail nobody.

use std::collections::HashMap;

use futures::StreamExt;
use uuid::Uuid;

use super::outbox::{self, Delivery, Left, Outcome, Trouble};
use super::{Failed, Results};
use crate::engine::{Completion, JobContext, JobError, context};
use crate::reports::email;
use crate::reports::stored::{self, Stored};
use crate::resend::Failure;

/// Mails on their way at the same time; the rate limit is Resend's own.
const AT_ONCE: usize = 4;
/// So many mails of one batch without an answer that the rest is left for
/// later.
const UNANSWERED: usize = 5;

/// What became of the mails of a run.
#[derive(Debug, Default)]
struct Mailed {
    /// Resend has them.
    sent: usize,
    /// The same mails may pass a little later.
    unanswered: usize,
    /// Whether Resend sends nothing for us at all.
    is_denied: bool,
}

/// The reports of a batch, by their ids; or why one cannot be read.
type Readable = HashMap<Uuid, Result<Stored, String>>;

/// Mails what is due, until nothing is left or no time is.
pub(super) async fn deliver(
    ctx: &JobContext,
    results: &mut Results,
) -> Result<Completion, JobError> {
    if !may_mail(ctx) {
        return Ok(Completion::Done);
    }
    outbox::owe(ctx, results).await?;
    if ctx.options.dry_run {
        return plan(ctx, results).await;
    }
    let mailed = mail(ctx, results).await?;
    let left = count(ctx, results).await?;
    mailed.finish(ctx, &left)
}

/// Puts on record who is owed the reports so far, for a run that has no time
/// to mail them: by the next one they may be last week's.
pub(super) async fn put_off(ctx: &JobContext, results: &Results) -> Result<Completion, JobError> {
    if may_mail(ctx) {
        outbox::owe(ctx, results).await?;
    }
    Ok(Completion::WorkLeft)
}

fn may_mail(ctx: &JobContext) -> bool {
    ctx.options.as_of.is_none() && ctx.resend.is_set_up()
}

/// Says what would be mailed.
async fn plan(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let left = count(ctx, results).await?;
    results.emails_sent = left.due.unsigned_abs();
    results.emails_waiting -= results.emails_sent;
    if !left.samples.is_empty() {
        results.samples.insert("mailed", left.samples);
    }
    Ok(Completion::Done)
}

/// Counts what is owed. In a batch, because a dry run has noted it in one, and
/// because a run that ends in failure keeps only what it committed.
async fn count(ctx: &JobContext, results: &mut Results) -> Result<Left, JobError> {
    let mut batch = ctx.fence.batch().await?;
    let left = outbox::count(batch.db()?, ctx)
        .await
        .map_err(context("count the mails that are owed"))?;
    results.emails_waiting = left.owed.unsigned_abs();
    batch.commit(results).await?;
    Ok(left)
}

/// A few at a time, until nothing is due or going on would not help.
async fn mail(ctx: &JobContext, results: &mut Results) -> Result<Mailed, JobError> {
    let mut mailed = Mailed::default();
    while !ctx.budget.is_spent() {
        let due = outbox::begin(ctx, results).await?;
        if due.is_empty() {
            break;
        }
        let begun = due.len();
        let outcomes = send_all(ctx, due).await?;
        let mut sum = results.clone();
        for outcome in &outcomes {
            sum.count(outcome);
        }
        let unanswered = if outbox::end(ctx, &outcomes, &sum).await? {
            *results = sum;
            mailed.add(begun, &outcomes)
        } else {
            mailed.unanswered += begun;
            begun
        };
        if mailed.is_denied || unanswered >= UNANSWERED {
            break;
        }
    }
    Ok(mailed)
}

impl Mailed {
    /// Adds a batch; answers how many of it got no answer.
    fn add(&mut self, begun: usize, outcomes: &[Outcome]) -> usize {
        let mut unanswered = begun - outcomes.len();
        for outcome in outcomes {
            match &outcome.answer {
                Ok(_) => self.sent += 1,
                Err(Trouble::Mail(Failure::Denied { .. })) => self.is_denied = true,
                Err(Trouble::Mail(failure)) if failure.may_pass_later() => unanswered += 1,
                Err(_) => {}
            }
        }
        self.unanswered += unanswered;
        unanswered
    }

    /// How the run ends. One that got something done may be continued at once;
    /// of one that got no answer, QStash's own patience is the bound. Where
    /// Resend sends nothing for us, no retry of this hour will help.
    fn finish(&self, ctx: &JobContext, left: &Left) -> Result<Completion, JobError> {
        let some_are_left = left.due > 0 || self.unanswered > 0;
        let is_moving = self.sent > 0 || self.unanswered == 0;
        if self.is_denied {
            Ok(Completion::Done)
        } else if ctx.budget.is_spent() && some_are_left && is_moving {
            Ok(Completion::WorkLeft)
        } else if self.unanswered > 0 {
            Err(JobError::Unreachable(anyhow::anyhow!(
                "Resend did not answer for {} mails; the reports are there, and the next try mails \
                 what is owed",
                self.unanswered
            )))
        } else {
            Ok(Completion::Done)
        }
    }
}

/// Sends these, a few at a time, with nothing locked.
async fn send_all(ctx: &JobContext, due: Vec<Delivery>) -> Result<Vec<Outcome>, JobError> {
    let ids: Vec<Uuid> = due.iter().map(|delivery| delivery.report_id).collect();
    let reports = stored::of(&mut *ctx.reading().await?, &ids).await?;
    let reports = &reports;
    let mut outcomes = Vec::with_capacity(due.len());
    let mut sent = futures::stream::iter(due)
        .map(|delivery| async move { send(ctx, delivery, reports).await })
        .buffer_unordered(AT_ONCE);
    let collect = async {
        while let Some(outcome) = sent.next().await {
            outcomes.push(outcome);
        }
    };
    // What has no answer by then stays noted as unsure.
    let patiently = async {
        tokio::select! {
            () = collect => {}
            () = ctx.budget.grace_ends() => {}
        }
    };
    ctx.fence.with_heartbeat(patiently).await?;
    drop(sent);
    Ok(outcomes)
}

async fn send(ctx: &JobContext, delivery: Delivery, reports: &Readable) -> Outcome {
    let report = match reports.get(&delivery.report_id) {
        Some(Ok(report)) => report,
        unreadable => {
            let why = unreadable.and_then(|report| report.as_ref().err());
            let why = why.map_or("the report is not there any more", String::as_str);
            let answer = Err(Trouble::Report(why.to_owned()));
            return Outcome { delivery, answer };
        }
    };
    let mail = email::letter(
        report,
        &delivery.recipient,
        &delivery.locale,
        ctx.links.as_ref(),
    );
    let answer = match ctx.resend.send(&mail, &|| !ctx.budget.is_spent()).await {
        Ok(id) => Ok(Some(id)),
        Err(Failure::AlreadySent) => Ok(None),
        Err(failure) => Err(failure.into()),
    };
    Outcome { delivery, answer }
}

impl Results {
    fn count(&mut self, outcome: &Outcome) {
        match &outcome.answer {
            Ok(_) => self.emails_sent += 1,
            Err(Trouble::Mail(Failure::NoTime)) => {}
            Err(trouble) => {
                self.emails_failed += 1;
                self.note(Failed {
                    gym_id: None,
                    report_id: Some(outcome.delivery.report_id),
                    error: without_addresses(&trouble.to_string()),
                });
            }
        }
    }
}

/// Results go into logs, and whom we mail is none of their business.
fn without_addresses(words: &str) -> String {
    let words = words.split_whitespace();
    let words = words.map(|word| if word.contains('@') { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}
