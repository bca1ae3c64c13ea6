//! Mails that wait for Resend, and addresses that it refuses: how they are told
//! of, and when the run goes on.
//!
//! Owns the alerts `mail_waiting` and `mail_refused`, one of each: they are open
//! while such mails are in the outbox, and resolved by the run that finds none.
//! Which mails are tried, and when one is given up, is the outbox's business.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;

use super::Results;
use crate::alerts::kinds::{Kind, MAIL_REFUSED, MAIL_WAITING};
use crate::alerts::{self, Alert};
use crate::database::{Fault, Unprepared};
use crate::engine::{Batch, JobContext, JobError, context};
use crate::foreign_text::ForeignText;
use crate::resend;

/// What mails wait for, and how long at the least; the longer is the greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wait {
    pause: Duration,
    why: String,
}

/// When a run that had to leave work goes on, in its results: the engine asks
/// for its rest with this delay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::jobs) struct Resume {
    after_seconds: u64,
    at: DateTime<Utc>,
}

impl Wait {
    pub(super) fn new(pause: Duration, why: &ForeignText) -> Self {
        let why = why.as_str().to_owned();
        Self { pause, why }
    }

    /// When calls hung until the run had to end.
    pub(super) fn for_an_answer() -> Self {
        Self::new(
            resend::OUTAGE_LASTS,
            &"Resend did not answer in time".into(),
        )
    }

    pub(super) fn resume(&self, ctx: &JobContext) -> Resume {
        let pause = TimeDelta::from_std(self.pause).unwrap_or_default();
        Resume {
            after_seconds: self.pause.as_secs(),
            at: ctx.now + pause,
        }
    }
}

/// Opens or resolves both alerts; `held` mails wait, for `wait` where Resend
/// makes them. While another transaction holds an alert, the next run tells.
///
/// # Errors
/// When the lease is lost, or the database cannot be reached.
pub(super) async fn tell(
    ctx: &JobContext,
    wait: Option<&Wait>,
    held: i64,
    results: &mut Results,
) -> Result<(), JobError> {
    let write = async |batch: &mut Batch<'_>, _: &mut Results| {
        let refused = refused(batch.db()?, ctx.now)
            .await
            .map_err(context("count the addresses that are refused"))?;
        let refused = (refused > 0).then(|| about_refused(refused));
        follow(batch, &MAIL_REFUSED, refused, true, ctx.now).await?;
        let waiting = wait.filter(|_| held > 0);
        let waiting = waiting.map(|wait| about_waiting(held, wait, ctx));
        follow(batch, &MAIL_WAITING, waiting, held == 0, ctx.now).await
    };
    match ctx.fence.write(results, write).await {
        Err(error) if error.fault() == Fault::Contended => {
            tracing::warn!(%error, "Skipping the alerts about mail until the next run");
            Ok(())
        }
        done => done,
    }
}

/// Raises the one alert of this kind; without one, resolves it if it `is_over`.
async fn follow(
    batch: &mut Batch<'_>,
    kind: &Kind,
    alert: Option<Alert>,
    is_over: bool,
    now: DateTime<Utc>,
) -> Result<(), JobError> {
    if let Some(alert) = alert {
        let opened = alerts::open(batch.db()?, &[alert], now).await;
        return opened
            .map(drop)
            .map_err(context("open an alert about mail"));
    }
    if is_over {
        let open = alerts::open_of_kind(batch.db()?, kind)
            .await
            .map_err(context("look for alerts about mail"))?;
        let ids: Vec<_> = open.iter().map(|alert| alert.id).collect();
        let resolved = alerts::resolve(batch.db()?, &ids, now).await;
        return resolved
            .map(drop)
            .map_err(context("resolve alerts about mail"));
    }
    Ok(())
}

fn about_waiting(held: i64, wait: &Wait, ctx: &JobContext) -> Alert {
    let details = json!({
        "waiting": held,
        "error": wait.why,
        "not_before": wait.resume(ctx).at,
    });
    MAIL_WAITING.about("", &[&held.to_string()], details)
}

fn about_refused(addresses: i64) -> Alert {
    let details = json!({ "addresses": addresses });
    MAIL_REFUSED.about("", &[&addresses.to_string()], details)
}

/// How many mailboxes that are still on a list have a mail that was refused.
async fn refused(db: Unprepared<'_>, now: DateTime<Utc>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        select count(*) as "refused!"
        from (
            select distinct
                report.gym_id,
                mailbox_of(delivery.recipient) as mailbox
            from report_deliveries as delivery
            join weekly_reports as report on report.id = delivery.report_id
            join gyms
                on gyms.id = report.gym_id
                and gyms.status = 'active'
            where delivery.sent_at is null
                and delivery.refusals > 0
                and delivery.attempted_at > $1::timestamptz - interval '90 days'
        ) as refused
        where exists (
            select
            from report_recipients as listed
            where listed.gym_id = refused.gym_id
                and mailbox_of(listed.email) = refused.mailbox
        )
        "#,
        now,
    )
    .fetch_one(db)
    .await
}
