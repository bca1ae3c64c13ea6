//! Mails the reports: each to each of its recipients once.
//!
//! Every try whose outcome is unknown is repeated with the same idempotency
//! key. A process that dies between sending a mail and recording it leaves the
//! mail unsure: it is tried again for as long as Resend remembers that key, and
//! then not any more. A run that leaves mails behind, because Resend did not
//! answer or sends nothing for us, is partial, says when it goes on, and tells
//! of it ([`super::waiting`]); the reports are committed before any mail. No
//! transaction is open while a mail is sent. A dry run and a replay of a past
//! moment send nothing.

use std::collections::HashMap;

use uuid::Uuid;

use super::Results;
use super::outbox::{self, Backlog, Delivery, DeliveryError, Outcome};
use super::waiting::{self, Wait};
use crate::engine::{Completion, JobContext, JobError, context};
use crate::foreign_text::ForeignText;
use crate::reports::email;
use crate::reports::stored::{self, StoredReport};
use crate::resend::Failure;

/// Mails on their way at the same time; the rate limit is Resend's own.
const AT_ONCE: usize = 4;
/// After so many mails of one batch without an answer, the rest waits for a
/// later run.
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
    /// Why mails wait for Resend, and for how long.
    wait: Option<Wait>,
}

/// The reports of a batch, by their ids; or why one cannot be read.
type Reports = HashMap<Uuid, Result<StoredReport, ForeignText>>;

/// Sends the outbox, until it is empty or the budget is spent.
pub(super) async fn deliver(
    ctx: &JobContext,
    results: &mut Results,
) -> Result<Completion, JobError> {
    if !may_mail(ctx) {
        return Ok(Completion::Done);
    }
    outbox::enqueue(ctx, results).await?;
    if ctx.options.dry_run {
        return plan(ctx, results).await;
    }
    let mailed = mail(ctx, results).await?;
    let backlog = count(ctx, results).await?;
    let (completion, wait) = mailed.end(ctx, &backlog);
    waiting::tell(ctx, wait.as_ref(), backlog.held, results).await?;
    results.resume = wait.map(|wait| wait.resume(ctx));
    Ok(completion)
}

/// Puts the reports so far into the outbox, for a run that has no time to mail
/// them: when the next run starts they may be too old for it.
pub(super) async fn defer(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    if may_mail(ctx) {
        outbox::enqueue(ctx, results).await?;
    }
    Ok(Completion::WorkLeft)
}

fn may_mail(ctx: &JobContext) -> bool {
    ctx.options.as_of.is_none() && ctx.resend.is_set_up()
}

/// Says what would be mailed.
async fn plan(ctx: &JobContext, results: &mut Results) -> Result<Completion, JobError> {
    let backlog = count(ctx, results).await?;
    results.emails_sent = backlog.ready.unsigned_abs();
    results.emails_waiting -= results.emails_sent;
    if !backlog.samples.is_empty() {
        results.samples.insert("mailed", backlog.samples);
    }
    Ok(Completion::Done)
}

/// Counts the outbox. In a batch, because a dry run has filled it in one, and
/// because a run that ends in failure keeps only what it committed.
async fn count(ctx: &JobContext, results: &mut Results) -> Result<Backlog, JobError> {
    let mut batch = ctx.fence.batch().await?;
    let backlog = outbox::count(batch.db()?, ctx)
        .await
        .map_err(context("count the mails in the outbox"))?;
    results.emails_waiting = backlog.waiting.unsigned_abs();
    batch.commit(results).await?;
    Ok(backlog)
}

/// A few at a time, until none is ready or going on would not help.
async fn mail(ctx: &JobContext, results: &mut Results) -> Result<Mailed, JobError> {
    let mut mailed = Mailed::default();
    while !ctx.budget.is_spent() {
        let deliveries = outbox::begin(ctx, results).await?;
        if deliveries.is_empty() {
            break;
        }
        let begun = deliveries.len();
        let outcomes = send_all(ctx, deliveries).await?;
        let unanswered = if outbox::end(ctx, &outcomes, results).await? {
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
    /// Adds a batch; returns how many of it got no answer.
    fn add(&mut self, begun: usize, outcomes: &[Outcome]) -> usize {
        let mut unanswered = begun - outcomes.len();
        for outcome in outcomes {
            match &outcome.answer {
                Ok(_) => self.sent += 1,
                Err(DeliveryError::Mail(failure)) => {
                    self.is_denied |= failure.stops_all();
                    if let Some(pause) = failure.may_pass_after() {
                        unanswered += usize::from(!failure.stops_all());
                        let wait = Wait::new(pause, &ForeignText::new(&failure.to_string()));
                        self.wait = self.wait.take().max(Some(wait));
                    }
                }
                Err(DeliveryError::Report(_)) => {}
            }
        }
        self.unanswered += unanswered;
        unanswered
    }

    /// How the run ends, and what its mails wait for. A run that sent something
    /// may be continued at once; one that got no answer, or was told that
    /// nothing is sent for us, later.
    fn end(self, ctx: &JobContext, backlog: &Backlog) -> (Completion, Option<Wait>) {
        let some_are_left = backlog.ready > 0 || self.unanswered > 0;
        let is_moving = self.sent > 0 || self.unanswered == 0;
        if self.is_denied {
            (Completion::WorkLeft, self.wait)
        } else if ctx.budget.is_spent() && some_are_left && is_moving {
            (Completion::WorkLeft, None)
        } else if self.unanswered > 0 {
            let wait = self.wait.unwrap_or_else(Wait::for_an_answer);
            (Completion::WorkLeft, Some(wait))
        } else {
            (Completion::Done, None)
        }
    }
}

/// Sends these, a few at a time, with nothing locked.
async fn send_all(ctx: &JobContext, deliveries: Vec<Delivery>) -> Result<Vec<Outcome>, JobError> {
    let ids: Vec<Uuid> = deliveries.iter().map(|of| of.report_id).collect();
    let reports = &stored::of(&mut ctx.reading().await?, &ids).await?;
    let call = async |delivery| Some(send(ctx, delivery, reports).await);
    // What has no answer by then stays recorded as unsure.
    let outcomes = ctx.together(AT_ONCE, deliveries, call);
    ctx.fence.with_heartbeat(outcomes).await
}

async fn send(ctx: &JobContext, delivery: Delivery, reports: &Reports) -> Outcome {
    let report = match reports.get(&delivery.report_id) {
        Some(Ok(report)) => report,
        unreadable => {
            let why = unreadable.and_then(|report| report.as_ref().err());
            let gone = || "the report does not exist any more".into();
            let answer = Err(DeliveryError::Report(why.cloned().unwrap_or_else(gone)));
            return Outcome { delivery, answer };
        }
    };
    let mail = email::compose(
        report,
        &delivery.mailbox,
        &delivery.locale,
        delivery.mail_key.clone(),
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
    /// Counts a delivery that was recorded.
    pub(super) fn count(&mut self, outcome: &Outcome) {
        match &outcome.answer {
            Ok(_) => self.emails_sent += 1,
            Err(DeliveryError::Mail(Failure::NoTime)) => {}
            Err(error) => {
                self.emails_failed += 1;
                let report_id = outcome.delivery.report_id;
                self.note(None, Some(report_id), without_addresses(&error.to_string()));
            }
        }
    }
}

/// Results go into logs, which hold no addresses of recipients.
fn without_addresses(text: &str) -> ForeignText {
    let words = text.split_whitespace();
    let words = words.map(|word| if word.contains('@') { "…" } else { word });
    ForeignText::new(&words.collect::<Vec<_>>().join(" "))
}
