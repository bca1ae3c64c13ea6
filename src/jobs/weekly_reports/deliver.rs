//! Mails the reports: each to each of its recipients once.
//!
//! A delivery is noted before it is tried and again when it is known how it
//! went. A process that dies in between leaves it unsure: it is tried again,
//! with the same idempotency key, for as long as Resend remembers that key,
//! and then left alone. No transaction is open while a mail is sent. A dry
//! run and a replay of a past moment mail nobody.

use chrono::Duration;
use futures::StreamExt;
use uuid::Uuid;

use super::letter;
use super::stored::{self, Stored};
use super::{Failed, Results};
use crate::database::{Fault, Unnamed};
use crate::jobs::{Cx, Finish, Stop, during};
use crate::resend::Failure;

/// Deliveries that are noted, and so may be left unsure, at once.
const BATCH: i64 = 10;
/// Mails on their way at the same time; the rate limit is Resend's own.
const AT_ONCE: usize = 4;
/// Resend remembers an idempotency key for 24 hours.
const KEY_LASTS_HOURS: i64 = 23;
/// So many mails of one batch without an answer that the rest is left for
/// later.
const UNANSWERED: usize = 5;

/// A delivery to be made.
#[derive(Debug, Clone)]
struct Delivery {
    report_id: Uuid,
    recipient: String,
    locale: String,
    /// Whether an earlier try may have sent it.
    was_unsure: bool,
}

/// How a delivery went.
#[derive(Debug)]
struct Outcome {
    delivery: Delivery,
    answer: Result<String, Failure>,
}

/// Mails what is due, until nothing is left or no time is.
pub(super) async fn deliver(cx: &Cx, results: &mut Results) -> Result<Finish, Stop> {
    if cx.options.dry_run || cx.options.as_of.is_some() || !cx.resend.is_set_up() {
        return Ok(Finish::Done);
    }
    let mut after = None;
    while !cx.budget.is_spent() {
        let Some(due) = note_next(cx, after.as_ref(), results).await? else {
            return Ok(Finish::Done);
        };
        after = due.last().cloned();
        let outcomes = send_all(cx, due).await?;
        let goes_on = !is_hopeless(&outcomes);
        record(cx, outcomes, results).await?;
        if !goes_on {
            return Ok(Finish::Done);
        }
    }
    Ok(Finish::WorkLeft)
}

/// Notes the next deliveries as begun; `None` when none is due.
async fn note_next(
    cx: &Cx,
    after: Option<&Delivery>,
    results: &Results,
) -> Result<Option<Vec<Delivery>>, Stop> {
    let mut batch = cx.fence.batch().await?;
    match begin(batch.db()?, cx, after).await {
        Ok(due) => {
            batch.commit(results).await?;
            Ok(Some(due).filter(|due| !due.is_empty()))
        }
        Err(error) => {
            batch.undo().await?;
            Err(during("note deliveries")(error))
        }
    }
}

/// Sends these, a few at a time, with nothing locked.
async fn send_all(cx: &Cx, due: Vec<Delivery>) -> Result<Vec<Outcome>, Stop> {
    let ids: Vec<Uuid> = due.iter().map(|delivery| delivery.report_id).collect();
    let reports = stored::of(&mut *cx.reading().await?, &ids).await?;
    let reports = &reports;
    let mut outcomes = Vec::with_capacity(due.len());
    let mut sent = futures::stream::iter(due)
        .map(|delivery| async move { send(cx, delivery, reports).await })
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
            () = cx.budget.patience_ends() => {}
        }
    };
    cx.fence.beating(patiently).await?;
    drop(sent);
    Ok(outcomes)
}

async fn send(cx: &Cx, delivery: Delivery, reports: &[Stored]) -> Outcome {
    let report = reports
        .iter()
        .find(|report| report.id == delivery.report_id);
    let Some(report) = report else {
        return Outcome {
            delivery,
            answer: Err(Failure::NoTime),
        };
    };
    let mail = letter::letter(
        report,
        &delivery.recipient,
        &delivery.locale,
        cx.links.as_ref(),
    );
    let answer = cx.resend.send(&mail, &|| !cx.budget.is_spent()).await;
    Outcome { delivery, answer }
}

/// Whether the next mails will fail like these.
fn is_hopeless(outcomes: &[Outcome]) -> bool {
    let unsure = |outcome: &&Outcome| matches!(&outcome.answer, Err(error) if error.is_unsure());
    let denied = |outcome: &Outcome| matches!(outcome.answer, Err(Failure::Denied { .. }));
    outcomes.iter().any(denied) || outcomes.iter().filter(unsure).count() >= UNANSWERED
}

/// Writes down how it went. When somebody holds one of these rows, what was
/// sent stays unsure, and the next run finds that Resend knows it.
async fn record(cx: &Cx, outcomes: Vec<Outcome>, results: &mut Results) -> Result<(), Stop> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let mut sum = results.clone();
    for outcome in &outcomes {
        sum.count(outcome);
    }
    let mut batch = cx.fence.batch().await?;
    let ended = end(batch.db()?, cx, &outcomes)
        .await
        .map_err(during("note how deliveries went"));
    match ended {
        Ok(()) => batch.commit(&sum).await?,
        Err(stop) if stop.fault() == Fault::Contended => {
            tracing::warn!(error = %stop, "deliveries stay unsure until the next run");
            return batch.undo().await;
        }
        Err(stop) => return Err(stop),
    }
    *results = sum;
    Ok(())
}

impl Results {
    fn count(&mut self, outcome: &Outcome) {
        match &outcome.answer {
            Ok(_) | Err(Failure::AlreadySent) => self.emails_sent += 1,
            Err(Failure::NoTime) => {}
            Err(failure) => {
                self.emails_failed += 1;
                self.note(Failed {
                    gym_id: None,
                    report_id: Some(outcome.delivery.report_id),
                    error: without_addresses(&failure.to_string()),
                });
            }
        }
    }
}

/// Notes deliveries as begun: of the week's reports to whoever was not mailed,
/// of the week before those that failed.
async fn begin(db: Unnamed<'_>, cx: &Cx, after: Option<&Delivery>) -> sqlx::Result<Vec<Delivery>> {
    sqlx::query_file_as!(
        Delivery,
        "src/jobs/weekly_reports/begin_deliveries.sql",
        cx.now,
        cx.now - Duration::hours(KEY_LASTS_HOURS),
        cx.options.gym_id,
        after.map(|delivery| delivery.report_id),
        after.map(|delivery| delivery.recipient.as_str()),
        BATCH,
    )
    .fetch_all(db)
    .await
}

/// A delivery that surely failed is no longer unsure, unless an earlier try
/// had left it so.
async fn end(db: Unnamed<'_>, cx: &Cx, outcomes: &[Outcome]) -> sqlx::Result<()> {
    let reports: Vec<Uuid> = outcomes.iter().map(|o| o.delivery.report_id).collect();
    let recipients: Vec<String> = outcomes
        .iter()
        .map(|o| o.delivery.recipient.clone())
        .collect();
    let message_ids: Vec<Option<String>> = outcomes
        .iter()
        .map(|o| o.answer.as_ref().ok().cloned())
        .collect();
    let errors: Vec<Option<String>> = outcomes.iter().map(error_of).collect();
    let are_sent: Vec<bool> = outcomes.iter().map(is_sent).collect();
    let are_unsure: Vec<bool> = outcomes
        .iter()
        .map(|o| o.delivery.was_unsure || matches!(&o.answer, Err(e) if e.is_unsure()))
        .collect();
    sqlx::query!(
        "update report_deliveries d
            set sent_at = case when o.is_sent then $7::timestamptz end,
                error = o.error,
                message_id = o.message_id,
                unsure_since = case when o.is_unsure and not o.is_sent then d.unsure_since end
           from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::boolean[],
                       $6::boolean[])
                as o (report_id, recipient, message_id, error, is_sent, is_unsure)
          where d.report_id = o.report_id
            and d.recipient = o.recipient
            and d.sent_at is null",
        &reports,
        &recipients,
        &message_ids as &[Option<String>],
        &errors as &[Option<String>],
        &are_sent,
        &are_unsure,
        cx.now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Results go into logs, and whom we mail is none of their business.
fn without_addresses(words: &str) -> String {
    let words = words.split_whitespace();
    let words = words.map(|word| if word.contains('@') { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn is_sent(outcome: &Outcome) -> bool {
    matches!(outcome.answer, Ok(_) | Err(Failure::AlreadySent))
}

fn error_of(outcome: &Outcome) -> Option<String> {
    match &outcome.answer {
        Ok(_) | Err(Failure::AlreadySent) => None,
        Err(failure) => Some(failure.to_string()),
    }
}
