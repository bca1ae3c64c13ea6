//! The members that are to be scored, page by page.
//!
//! By keyset over (gym, member), past those who have their score of this day:
//! a run that was killed is continued by the next, and a second run on the
//! same day finds nothing to do. Each page is read and judged with no lock held.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sqlx::Result;
use uuid::Uuid;

use super::BATCH;
use crate::churn::facts::{self, Member};
use crate::churn::verdict::{Level, Verdict};
use crate::churn::weights::{self, Model};
use crate::database::{Transaction, Unprepared};
use crate::engine::{Completion, JobContext, JobError, context};

/// A member and the verdict about them.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) member: Member,
    pub(super) verdict: Verdict,
    pub(super) model_version: String,
}

/// Members that were judged together, and where the cursor is after them.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) judged: Vec<Judged>,
    pub(super) checkpoint: Checkpoint,
}

/// Where a run stopped: a continuation with `force` must not begin again at the
/// first member, and the limit is one for the whole chain.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The last gym and member that were passed.
    pub(super) after: Option<(Uuid, Uuid)>,
    /// Members that may still be scored.
    pub(super) left: u64,
    /// Predictions that may still get their outcome.
    pub(super) outcomes_left: u64,
}

impl Checkpoint {
    /// Where the run before stopped, or the beginning.
    pub(super) fn before(ctx: &JobContext) -> Self {
        let limit = ctx.options.row_limit();
        ctx.checkpoint.resumed().unwrap_or(Self {
            after: None,
            left: limit,
            outcomes_left: limit,
        })
    }
}

/// The position in the members.
#[derive(Debug)]
pub(super) struct Cursor {
    checkpoint: Checkpoint,
    at_the_end: bool,
    /// Of the gyms on the last page.
    gyms: HashMap<Uuid, GymModel>,
}

/// What a gym's members are judged by.
#[derive(Debug, Clone)]
struct GymModel {
    model: Model,
    gap: f64,
}

impl Cursor {
    pub(super) fn begin(ctx: &JobContext) -> Self {
        let mut checkpoint = Checkpoint::before(ctx);
        // Outcomes come first, and all that were allowed are done by now.
        checkpoint.outcomes_left = 0;
        Self {
            at_the_end: checkpoint.left == 0,
            checkpoint,
            gyms: HashMap::new(),
        }
    }

    /// Done once every member was looked at, or `limit` of them.
    pub(super) fn completion(&self) -> Completion {
        Completion::done_if(self.at_the_end)
    }

    /// The next page, judged; `None` when there is no more. It may be empty:
    /// then all of it was done before.
    pub(super) async fn page(
        &mut self,
        ctx: &JobContext,
    ) -> std::result::Result<Option<Page>, JobError> {
        if self.at_the_end {
            return Ok(None);
        }
        let size = ctx.options.batch_size_or(BATCH);
        let size = size.min(self.checkpoint.left.try_into().unwrap_or(i64::MAX));
        let mut tx = ctx.reading().await?;
        let picked = pick(Unprepared(&mut tx), ctx, self.checkpoint.after, size)
            .await
            .map_err(context("pick members to score"))?;
        self.at_the_end = i64::try_from(picked.len()).is_ok_and(|read| read < size);
        let last = picked.last().map(|last| (last.gym_id, last.id));
        self.checkpoint.after = last.or(self.checkpoint.after);
        let members: Vec<Member> = picked
            .into_iter()
            .filter(|one| ctx.options.force || !one.is_done)
            .collect();
        self.checkpoint.left -= self.checkpoint.left.min(members.len() as u64);
        self.at_the_end |= self.checkpoint.left == 0;
        let checkpoint = self.checkpoint;
        let judged = self
            .judge(ctx, &mut tx, members)
            .await
            .map_err(context("read what members did"))?;
        Ok(Some(Page { judged, checkpoint }))
    }

    async fn judge(
        &mut self,
        ctx: &JobContext,
        db: &mut Transaction,
        members: Vec<Member>,
    ) -> Result<Vec<Judged>> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        self.read_models(ctx, db, &members).await?;
        let facts = facts::of_members(db, &members, ctx.now).await?;
        let judged = members
            .into_iter()
            .zip(facts)
            .filter_map(|(member, facts)| {
                let known = self.gyms.get(&member.gym_id)?;
                let verdict =
                    Verdict::of(&facts, &known.model.weights, known.gap, member.previous)?;
                Some(Judged {
                    verdict,
                    model_version: known.model.version.clone(),
                    member,
                })
            });
        Ok(judged.collect())
    }

    /// Reads the models of the gyms of a page, and drops those before.
    async fn read_models(
        &mut self,
        ctx: &JobContext,
        db: &mut Transaction,
        members: &[Member],
    ) -> Result<()> {
        let mut gyms: Vec<Uuid> = members.iter().map(|member| member.gym_id).collect();
        gyms.dedup();
        self.gyms.retain(|gym, _| gyms.contains(gym));
        gyms.retain(|gym| !self.gyms.contains_key(gym));
        if gyms.is_empty() {
            return Ok(());
        }
        let mut models = weights::newest(Unprepared(db), &gyms, ctx.now).await?;
        let gaps = facts::gaps_of_gyms(db, &gyms, ctx.now).await?;
        let known = gaps.into_iter().map(|(gym, gap)| {
            let model = models.remove(&gym).unwrap_or_default();
            (gym, GymModel { model, gap })
        });
        self.gyms.extend(known);
        Ok(())
    }
}

/// The next members by keyset, and of each whether they are done.
///
/// Members who are done are marked and not left out, and scores are looked up
/// one by one: so a page is bounded by its indexes, whatever the planner
/// believes of tables that were analysed when they were empty, or never.
async fn pick(
    db: Unprepared<'_>,
    ctx: &JobContext,
    after: Option<(Uuid, Uuid)>,
    size: i64,
) -> Result<Vec<Member>> {
    let (shard, shards) = ctx.options.shard_of();
    sqlx::query_as!(
        Member,
        r#"
        with page as materialized (
            select m.id, m.gym_id, m.timezone, m.joined_on, m.membership_ends_on, today.day
              from churn_members m
              cross join lateral (
                  select ($1::timestamptz at time zone m.timezone)::date as day
              ) today
             where m.is_scored
               and (m.frozen_until is null or m.frozen_until <= today.day)
               and ($2::uuid is null or (m.gym_id, m.id) > ($2, $3::uuid))
               and ($4::uuid is null or m.gym_id = $4)
               and ($6::int = 1 or abs(hashtext(m.id::text)::bigint) % $6::int = $5::int)
             order by m.gym_id, m.id
             limit $7
        )
        select p.id as "id!",
               p.gym_id as "gym_id!",
               p.timezone as "timezone!",
               p.day as "today!",
               p.day - p.joined_on as joined_ago,
               p.membership_ends_on - p.day as ends_in,
               c.level as "previous?: Level",
               h.member_id is not null as "is_done!"
          from page p
          left join lateral (
              select level
                from member_churn
               where member_id = p.id
                 and scored_on <= p.day
              offset 0
          ) c on true
          left join lateral (
              select member_id
                from member_churn_history
               where member_id = p.id
                 and scored_on = p.day
              offset 0
          ) h on true
         order by p.gym_id, p.id
        "#,
        ctx.now,
        after.map(|(gym, _)| gym),
        after.map(|(_, member)| member),
        ctx.options.gym_id,
        shard,
        shards,
        size,
    )
    .fetch_all(db)
    .await
}
