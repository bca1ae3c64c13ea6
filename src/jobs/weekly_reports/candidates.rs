//! The gyms that a run looks at, and which of them need a report.
//!
//! Reads gyms by keyset over their id, in batches, and keeps the checkpoint.
//! An existing report is made again only with `force`.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use sqlx::Result;
use uuid::Uuid;

use super::{BATCH, Results};
use crate::database::Unprepared;
use crate::engine::{Completion, JobContext, JobError, context};
use crate::foreign_text::ForeignText;
use crate::reports::week::Week;

/// A gym whose week is to be reported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) gym_id: Uuid,
    pub(super) zone: Tz,
    pub(super) week: Week,
    /// How many kiosks it has: reading their heartbeats takes most of the time.
    pub(super) kiosks: i64,
}

/// How far the run has come in the list of gyms.
#[derive(Debug)]
pub(super) struct Cursor {
    /// After the current batch.
    position: Position,
    /// Before the current batch.
    before: Position,
    /// The gyms of the current batch, in their order.
    current: Vec<Uuid>,
    at_the_end: bool,
}

/// The checkpoint: a continuation with `force` must not begin again at the
/// first gym, and the limit is one for the whole chain.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Position {
    after: Option<Uuid>,
    left: u64,
}

impl Cursor {
    /// At the first gym, or after the last of the run before.
    pub(super) fn begin(ctx: &JobContext) -> Self {
        let position: Position = ctx.checkpoint.resumed().unwrap_or(Position {
            after: None,
            left: ctx.options.row_limit(),
        });
        Self {
            at_the_end: position.left == 0,
            before: position,
            current: Vec::new(),
            position,
        }
    }

    /// Saves that these gyms, the next of the current batch, are settled.
    pub(super) fn pass(&self, ctx: &JobContext, part: &[Candidate]) {
        let Some(last) = part.last().map(|gym| gym.gym_id) else {
            return;
        };
        // Those in between that need no report were looked at too.
        let looked = self.current.iter().take_while(|id| **id != last).count() as u64 + 1;
        ctx.checkpoint.save(&Position {
            after: Some(last),
            left: self.before.left.saturating_sub(looked),
        });
    }

    /// Saves that the whole current batch is settled.
    pub(super) fn leave(&self, ctx: &JobContext) {
        ctx.checkpoint.save(&self.position);
    }

    /// Done once every gym was looked at, or `limit` of them.
    pub(super) fn finish(&self) -> Completion {
        Completion::done_if(self.at_the_end)
    }

    /// Some gyms of the current batch were not settled.
    pub(super) fn interrupted(&mut self) {
        self.at_the_end = false;
        self.position.left = 0;
    }

    /// The gyms of the next batch that need a report, with the others counted;
    /// `None` when there is no batch.
    pub(super) async fn batch(
        &mut self,
        ctx: &JobContext,
        results: &mut Results,
    ) -> Result<Option<Vec<Candidate>>, JobError> {
        let size = ctx.options.batch_size_or(BATCH);
        let size = size.min(self.position.left.try_into().unwrap_or(i64::MAX));
        if self.at_the_end || size == 0 {
            return Ok(None);
        }
        let mut tx = ctx.reading().await?;
        let rows = pick(Unprepared(&mut tx), ctx, self.position.after, size)
            .await
            .map_err(context("pick gyms"))?;
        let read = rows.len() as u64;
        self.before = self.position;
        self.current = rows.iter().map(|row| row.id).collect();
        self.position.after = rows.last().map(|row| row.id).or(self.position.after);
        self.position.left -= self.position.left.min(read);
        self.at_the_end =
            i64::try_from(read).is_ok_and(|read| read < size) || self.position.left == 0;
        let mut sum = results.clone();
        let candidates = rows
            .into_iter()
            .filter_map(|gym| gym.sort(ctx.now, &mut sum));
        let mut candidates: Vec<Candidate> = candidates.collect();
        if !ctx.options.force {
            let reported = reported(Unprepared(&mut tx), &candidates)
                .await
                .map_err(context("look for reports"))?;
            candidates.retain(|gym| !reported.contains(&gym.gym_id));
            sum.unchanged += reported.len() as u64;
        }
        // The others are counted when they are settled: a run may end before.
        sum.total += read - candidates.len() as u64;
        *results = sum;
        Ok(Some(candidates))
    }
}

struct Row {
    id: Uuid,
    status: String,
    timezone: String,
    created_at: DateTime<Utc>,
    kiosks: i64,
}

impl Row {
    /// Counts a gym that can have no report; the others are candidates.
    fn sort(self, now: DateTime<Utc>, results: &mut Results) -> Option<Candidate> {
        let Ok(zone) = Tz::from_str_insensitive(&self.timezone) else {
            let zone = self.timezone;
            let error = format!("the time zone {zone:?} is not in the IANA database");
            results.gym_failed(self.id, ForeignText::new(&error));
            return None;
        };
        let week = Week::last_complete(now, zone);
        if self.status != "active" || self.created_at >= week.ends {
            results.skipped += 1;
            return None;
        }
        Some(Candidate {
            gym_id: self.id,
            zone,
            week,
            kiosks: self.kiosks,
        })
    }
}

/// Active gyms after `after`; one that was asked for by its id in any status.
async fn pick(
    db: Unprepared<'_>,
    ctx: &JobContext,
    after: Option<Uuid>,
    size: i64,
) -> Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"
        select
            id,
            status,
            timezone,
            within_calendar(created_at) as "created_at!",
            (select count(*) from kiosks where kiosks.gym_id = gyms.id) as "kiosks!"
        from gyms
        where (status = 'active' and $1::uuid is null or id = $1)
            and ($2::uuid is null or id > $2)
            and created_at <= $3
        order by id
        limit $4
        "#,
        ctx.options.gym_id,
        after,
        ctx.now,
        size,
    )
    .fetch_all(db)
    .await
}

/// Those of `candidates` that have their report already.
async fn reported(db: Unprepared<'_>, candidates: &[Candidate]) -> Result<Vec<Uuid>> {
    let gyms: Vec<Uuid> = candidates.iter().map(|gym| gym.gym_id).collect();
    let weeks = candidates.iter().map(|gym| gym.week.iso);
    let (years, weeks): (Vec<i32>, Vec<i32>) =
        weeks.map(|iso| (iso.year, iso.week.cast_signed())).unzip();
    sqlx::query_scalar!(
        "
        select report.gym_id
        from unnest($1::uuid[], $2::int[], $3::int[]) as candidate (gym_id, iso_year, iso_week)
        join weekly_reports as report using (gym_id, iso_year, iso_week)
        ",
        &gyms,
        &years,
        &weeks,
    )
    .fetch_all(db)
    .await
}
