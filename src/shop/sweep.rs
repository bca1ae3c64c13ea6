//! The frame of the two shop jobs: Stripe first, then the database.
//!
//! Owns the order of a run: due rows are read by keyset, Stripe is asked about
//! a batch with no lock held, and one transaction writes the batch. Promises
//! that a row that cannot be settled is passed once in a run, that a dry
//! run asks Stripe about everything before its one transaction begins, and
//! that a run whose every call failed says so. What is due and what is
//! written is each job's business ([`Sweep`]).

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::payment_intents::Breaker;
use crate::alerts;
use crate::engine::batch::{BatchWork, commit_in_parts};
use crate::engine::{Batch, Completion, JobContext, JobError, context};

/// The options of both jobs.
pub const ACCEPTS: &[&str] = &[
    "dry_run",
    "as_of",
    "batch_size",
    "limit",
    "shard",
    "fan_out",
    "continuation_of",
];

/// The position of a due row: its moment and its id.
pub type Key = (DateTime<Utc>, Uuid);

/// Due rows, with the key of the last one that was read.
pub type Due<T> = (VecDeque<T>, Option<Key>);

/// What a job does with its due rows; the items of [`BatchWork`] are due rows
/// with what Stripe answered.
pub trait Sweep: BatchWork<Results: Clone + Serialize> {
    /// A row that is due.
    type Due: Send;
    /// Rows per transaction.
    const BATCH: u32;
    /// Batches that are read at once.
    const BATCHES_AHEAD: i64;
    /// Whether the run goes on when the breaker has tripped, with rows that
    /// need no call to Stripe.
    const GOES_ON_WITHOUT_STRIPE: bool;

    /// The next `size` rows after `after`.
    ///
    /// # Errors
    /// When the database refuses.
    fn pick(
        &self,
        ctx: &JobContext,
        after: Option<Key>,
        size: i64,
    ) -> impl Future<Output = Result<Due<Self::Due>, JobError>> + Send;

    /// Asks Stripe about these rows. Rows that there was no time for, or that
    /// the breaker kept from Stripe, are left out.
    ///
    /// # Errors
    /// When the database refuses.
    fn fetch(
        &self,
        ctx: &JobContext,
        due: Vec<Self::Due>,
        breaker: &Breaker,
    ) -> impl Future<Output = Result<Vec<Self::Item>, JobError>> + Send;

    /// Whether there was time for all of this row.
    fn is_whole(_item: &Self::Item) -> bool {
        true
    }

    /// Writes what only a whole run can tell, after its last batch.
    ///
    /// # Errors
    /// When the database refuses.
    fn finish(
        &self,
        ctx: &JobContext,
        batch: &mut Batch<'_>,
        breaker: &Breaker,
        sum: &mut Self::Results,
    ) -> impl Future<Output = Result<(), JobError>> + Send;

    /// Deletes what the job keeps about rows that were settled since the last
    /// run; answers their open alerts, after raising what they leave behind.
    ///
    /// # Errors
    /// When the database refuses.
    fn settled_alerts(
        &self,
        ctx: &JobContext,
        batch: &mut Batch<'_>,
        sum: &mut Self::Results,
    ) -> impl Future<Output = Result<Vec<Uuid>, JobError>> + Send;
}

/// Settles all due rows, batch by batch.
///
/// # Errors
/// When the run must stop, also because Stripe denies every call or cannot be
/// reached.
pub async fn run<S: Sweep>(
    ctx: &JobContext,
    mut sweep: S,
    breaker: Breaker,
    results: &mut S::Results,
) -> Result<Completion, JobError> {
    let mut cursor = Cursor::new(ctx, breaker);
    if ctx.options.dry_run {
        plan(ctx, &mut sweep, &mut cursor, results).await?;
    } else {
        resolve_settled_alerts(ctx, &sweep, results).await?;
        let mut looked_at = 0;
        while let Some(items) = cursor.next(ctx, &sweep).await? {
            cursor.note(commit_in_parts(ctx, &mut sweep, &items, results).await?);
            looked_at += items.len() as u64;
            ctx.looked_at(looked_at);
        }
    }
    if cursor.breaker.was_used() {
        let finish = async |batch: &mut Batch<'_>, sum: &mut S::Results| {
            sweep.finish(ctx, batch, &cursor.breaker, sum).await
        };
        unless_held(ctx.fence.write(results, finish).await)?;
    }
    cursor.breaker.check()?;
    Ok(cursor.completion())
}

/// A dry run asks Stripe about all rows first, so that its one transaction
/// begins after the last answer and holds no lock before.
async fn plan<S: Sweep>(
    ctx: &JobContext,
    sweep: &mut S,
    cursor: &mut Cursor<S::Due>,
    results: &mut S::Results,
) -> Result<(), JobError> {
    let mut batches = Vec::new();
    while let Some(items) = cursor.next(ctx, sweep).await? {
        batches.push(items);
    }
    resolve_settled_alerts(ctx, sweep, results).await?;
    for items in batches {
        // What Stripe was asked about belongs into the plan.
        if ctx.budget.is_past_grace() {
            cursor.interrupt();
            break;
        }
        cursor.note(commit_in_parts(ctx, sweep, &items, results).await?);
    }
    Ok(())
}

async fn resolve_settled_alerts<S: Sweep>(
    ctx: &JobContext,
    sweep: &S,
    results: &mut S::Results,
) -> Result<(), JobError> {
    let resolve = async |batch: &mut Batch<'_>, sum: &mut S::Results| {
        let settled = sweep.settled_alerts(ctx, batch, sum).await?;
        let resolved = alerts::resolve(batch.db()?, &settled, ctx.now).await;
        resolved.map(drop).map_err(context("resolve alerts"))
    };
    unless_held(ctx.fence.write(results, resolve).await)
}

/// When another transaction holds one of these alerts, the next run writes
/// it: no row waits for that.
fn unless_held(written: Result<(), JobError>) -> Result<(), JobError> {
    match written {
        Err(error) if error.is_about_rows() => {
            tracing::warn!(%error, "Failed to write the alerts of the run; the next run retries");
            Ok(())
        }
        done => done,
    }
}

/// The position in the due rows.
#[derive(Debug)]
struct Cursor<T> {
    breaker: Breaker,
    after: Option<Key>,
    ahead: VecDeque<T>,
    left: u64,
    is_at_the_end: bool,
}

impl<T: Send> Cursor<T> {
    fn new(ctx: &JobContext, breaker: Breaker) -> Self {
        Self {
            breaker,
            after: None,
            ahead: VecDeque::new(),
            left: ctx.rows_left(),
            is_at_the_end: ctx.rows_left() == 0,
        }
    }

    /// Done once every due row was looked at, or `limit` of them.
    fn completion(&self) -> Completion {
        Completion::done_if(self.is_at_the_end && self.ahead.is_empty())
    }

    /// Ends the run here: some of the rows that were handed out were not
    /// looked at.
    fn interrupt(&mut self) {
        self.is_at_the_end = false;
        self.left = 0;
        self.ahead.clear();
    }

    /// Ends the run here when some of a batch was left.
    fn note(&mut self, completion: Completion) {
        if completion == Completion::WorkLeft {
            self.interrupt();
        }
    }

    /// The next batch with Stripe's answers; `None` when no row is left or
    /// nothing new may begin.
    async fn next<S: Sweep<Due = T>>(
        &mut self,
        ctx: &JobContext,
        sweep: &S,
    ) -> Result<Option<Vec<S::Item>>, JobError> {
        if ctx.budget.is_spent() || !(S::GOES_ON_WITHOUT_STRIPE || self.breaker.lets_call()) {
            return Ok(None);
        }
        if self.ahead.is_empty() {
            self.read_ahead(ctx, sweep).await?;
        }
        let size = usize::try_from(ctx.options.batch_size_or(S::BATCH)).unwrap_or(usize::MAX);
        let due: Vec<T> = self.ahead.drain(..size.min(self.ahead.len())).collect();
        if due.is_empty() {
            return Ok(None);
        }
        let picked = due.len();
        let fetch = sweep.fetch(ctx, due, &self.breaker);
        let items = ctx.fence.with_heartbeat(fetch).await??;
        let was_cut = items.len() < picked || !items.iter().all(S::is_whole);
        if was_cut && (!S::GOES_ON_WITHOUT_STRIPE || self.breaker.lets_call()) {
            self.interrupt();
        }
        Ok(Some(items))
    }

    async fn read_ahead<S: Sweep<Due = T>>(
        &mut self,
        ctx: &JobContext,
        sweep: &S,
    ) -> Result<(), JobError> {
        let size = ctx.options.batch_size_or(S::BATCH) * S::BATCHES_AHEAD;
        let size = size.min(self.left.try_into().unwrap_or(i64::MAX));
        if size == 0 || self.is_at_the_end {
            return Ok(());
        }
        let (size, (due, last)) = loop {
            if ctx.budget.is_spent() {
                return Ok(());
            }
            let asked = ctx.part_size.of(size);
            let read = sweep.pick(ctx, self.after, asked).await;
            if let Some(read) = ctx.part_size.judge(asked, read)? {
                break (asked, read);
            }
        };
        let read = due.len() as u64;
        self.after = last.or(self.after);
        self.ahead = due;
        self.left -= self.left.min(read);
        self.is_at_the_end = i64::try_from(read).is_ok_and(|read| read < size) || self.left == 0;
        Ok(())
    }
}
