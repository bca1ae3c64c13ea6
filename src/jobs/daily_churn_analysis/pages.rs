//! The members that are to be scored, page by page.
//!
//! By keyset over (gym, member), past those who have their score of this day:
//! a run that was killed is continued by the next, and a second run on the
//! same day finds nothing to do. Each page is read and judged with no lock held.

use serde::{Deserialize, Serialize};
use sqlx::Result;
use uuid::Uuid;

use super::gyms::Gyms;
use super::{BATCH, last_verdicts};
use crate::churn::facts::{self, Member, Seen};
use crate::churn::offset::Offset;
use crate::churn::verdict::{Level, Verdict};
use crate::database::{Transaction, Unprepared};
use crate::engine::{Completion, JobContext, JobError, context};

/// A member and the verdict about them.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) member: Member,
    pub(super) seen: Seen,
    pub(super) verdict: Verdict,
    pub(super) model_version: String,
    /// Whether no day before this one has a score of theirs, in a first night
    /// of their gym.
    pub(super) is_first: bool,
}

/// Members that were judged together, and where the cursor is after them.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) judged: Vec<Judged>,
    pub(super) checkpoint: Checkpoint,
    /// Of gyms on this page, found just now.
    pub(super) offsets: Vec<Offset>,
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
    gyms: Gyms,
}

impl Cursor {
    pub(super) fn begin(ctx: &JobContext) -> Self {
        let mut checkpoint = Checkpoint::before(ctx);
        // Outcomes come first, and all that were allowed are done by now.
        checkpoint.outcomes_left = 0;
        Self {
            at_the_end: checkpoint.left == 0,
            checkpoint,
            gyms: Gyms::default(),
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
        let (asked, picked, judged) = loop {
            let asked = ctx.part_size.of(size);
            let read = self.read(ctx, asked).await;
            if let Some((picked, judged)) = ctx.part_size.judge(asked, read)? {
                break (asked, picked, judged);
            }
            if ctx.budget.is_spent() {
                return Ok(None);
            }
        };
        self.at_the_end = i64::try_from(picked.rows).is_ok_and(|read| read < asked);
        self.checkpoint.after = picked.last.or(self.checkpoint.after);
        self.checkpoint.left -= self.checkpoint.left.min(picked.to_do);
        self.at_the_end |= self.checkpoint.left == 0;
        Ok(Some(Page {
            judged,
            checkpoint: self.checkpoint,
            offsets: self.gyms.found(),
        }))
    }

    /// Reads and judges the next `size` members, and moves nothing.
    async fn read(
        &mut self,
        ctx: &JobContext,
        size: i64,
    ) -> std::result::Result<(Picked, Vec<Judged>), JobError> {
        let mut tx = ctx.reading().await?;
        let members = pick(Unprepared(&mut tx), ctx, self.checkpoint.after, size)
            .await
            .map_err(context("pick members to score"))?;
        let rows = members.len();
        let last = members.last().map(|last| (last.gym_id, last.id));
        let members: Vec<Member> = members
            .into_iter()
            .filter(|one| ctx.options.force || !one.is_done)
            .collect();
        let to_do = members.len() as u64;
        let judged = self.judge(ctx, &mut tx, members).await?;
        Ok((Picked { rows, last, to_do }, judged))
    }

    async fn judge(
        &mut self,
        ctx: &JobContext,
        db: &mut Transaction,
        members: Vec<Member>,
    ) -> std::result::Result<Vec<Judged>, JobError> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        self.gyms.read(ctx, db, &members).await?;
        let seen = facts::of_members(db, &members, ctx.now)
            .await
            .map_err(context("read what members did"))?;
        let unseen = members.iter().zip(&seen);
        let unseen = unseen.filter(|(_, seen)| {
            seen.facts.visits == 0 && seen.facts.joined_ago.is_none_or(|ago| ago >= 0)
        });
        let mut kept = last_verdicts::of(Unprepared(db), unseen.map(|(one, _)| one))
            .await
            .map_err(context("read the scores of who has no visits left"))?;
        let judged = members.into_iter().zip(seen).filter_map(|(member, seen)| {
            let gym = self.gyms.get(&member.gym_id)?;
            let mut verdict = match kept.remove(&member.id) {
                Some(kept) => kept,
                None => Verdict::of(&seen.facts, &gym.model.weights, gym.gap, member.previous)?,
            };
            verdict.stay_at(member.previous.filter(|_| gym.is_silent));
            let was_scored = member.previous.is_some() && !member.is_done;
            Some(Judged {
                verdict,
                is_first: gym.is_first_night && !was_scored,
                model_version: gym.model.version.clone(),
                member,
                seen,
            })
        });
        Ok(judged.collect())
    }
}

/// What was picked: how many members, the last of them, and how many of them
/// are to be scored.
struct Picked {
    rows: usize,
    last: Option<(Uuid, Uuid)>,
    to_do: u64,
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
