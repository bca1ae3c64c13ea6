//! The walk over the members that are to be scored, page by page.
//!
//! By keyset over (gym, member), past those who have their score of this day:
//! a run that was killed is continued by the next, and a second run on the
//! same day finds nothing to do. Each page is read and judged with no lock held.

use std::collections::HashMap;

use chrono::NaiveDate;
use sqlx::{PgConnection, Result};
use uuid::Uuid;

use super::BATCH;
use super::facts::{self, Member};
use super::verdict::{Level, Verdict};
use super::weights::{self, Model};
use crate::database::Unnamed;
use crate::jobs::{Cx, Finish, Stop, during};

/// A member and what is said of them.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) member: Member,
    pub(super) verdict: Verdict,
    pub(super) model_version: String,
}

/// Where the walk stands.
#[derive(Debug)]
pub(super) struct Walk {
    after: Option<(Uuid, Uuid)>,
    left: u64,
    at_the_end: bool,
    /// Of the gyms on the last page.
    gyms: HashMap<Uuid, Known>,
}

/// What a gym's members are judged by.
#[derive(Debug, Clone)]
struct Known {
    model: Model,
    gap: f64,
}

impl Walk {
    pub(super) fn begin(cx: &Cx) -> Self {
        Self {
            after: None,
            left: cx.options.row_limit(),
            at_the_end: false,
            gyms: HashMap::new(),
        }
    }

    /// Done once everybody was looked at, or `limit` of them.
    pub(super) fn finish(&self) -> Finish {
        if self.at_the_end {
            Finish::Done
        } else {
            Finish::WorkLeft
        }
    }

    /// The next page, judged; `None` when there is no more. It may be empty:
    /// then all of it was done before.
    pub(super) async fn page(&mut self, cx: &Cx) -> std::result::Result<Option<Vec<Judged>>, Stop> {
        if self.at_the_end {
            return Ok(None);
        }
        let size = cx.options.batch_size_or(BATCH);
        let size = size.min(self.left.try_into().unwrap_or(i64::MAX));
        let mut tx = cx.reading().await?;
        let picked = pick(Unnamed(&mut tx), cx, self.after, size)
            .await
            .map_err(during("pick members to score"))?;
        self.at_the_end = i64::try_from(picked.len()).is_ok_and(|read| read < size);
        self.after = picked.last().map(|last| (last.gym_id, last.id));
        let wanted = picked
            .into_iter()
            .filter(|one| cx.options.force || !one.is_done);
        let members: Vec<Member> = wanted.map(Picked::member).collect();
        self.left -= self.left.min(members.len() as u64);
        self.at_the_end |= self.left == 0;
        if members.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let judged = self.judge(cx, &mut tx, members).await;
        judged.map(Some).map_err(during("read what members did"))
    }

    async fn judge(
        &mut self,
        cx: &Cx,
        db: &mut PgConnection,
        members: Vec<Member>,
    ) -> Result<Vec<Judged>> {
        self.learn(cx, db, &members).await?;
        let facts = facts::of_members(db, &members, cx.now).await?;
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

    /// Gets to know the gyms of a page, and forgets those before.
    async fn learn(&mut self, cx: &Cx, db: &mut PgConnection, members: &[Member]) -> Result<()> {
        let mut gyms: Vec<Uuid> = members.iter().map(|member| member.gym_id).collect();
        gyms.dedup();
        self.gyms.retain(|gym, _| gyms.contains(gym));
        gyms.retain(|gym| !self.gyms.contains_key(gym));
        if gyms.is_empty() {
            return Ok(());
        }
        let mut models = weights::newest(Unnamed(db), &gyms, cx.now).await?;
        let gaps = facts::gaps_of_gyms(db, &gyms, cx.now).await?;
        let known = gaps.into_iter().map(|(gym, gap)| {
            let model = models.remove(&gym).unwrap_or_default();
            (gym, Known { model, gap })
        });
        self.gyms.extend(known);
        Ok(())
    }
}

/// The next members by keyset, and of each whether they are done.
///
/// Who is done is said and not left out: a page is bounded so by its index,
/// whatever the planner believes of tables that were never analysed.
async fn pick(
    db: Unnamed<'_>,
    cx: &Cx,
    after: Option<(Uuid, Uuid)>,
    size: i64,
) -> Result<Vec<Picked>> {
    let (shard, shards) = cx.options.shard_of();
    sqlx::query_as!(
        Picked,
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
               c.level as "previous?",
               h.member_id is not null as "is_done!"
          from page p
          left join member_churn c
            on c.member_id = p.id
           and c.scored_on <= p.day
          left join member_churn_history h
            on h.member_id = p.id
           and h.scored_on = p.day
         order by p.gym_id, p.id
        "#,
        cx.now,
        after.map(|(gym, _)| gym),
        after.map(|(_, member)| member),
        cx.options.gym_id,
        shard,
        shards,
        size,
    )
    .fetch_all(db)
    .await
}

/// A member of a page, as the tables have them.
struct Picked {
    id: Uuid,
    gym_id: Uuid,
    timezone: String,
    today: NaiveDate,
    joined_ago: Option<i32>,
    ends_in: Option<i32>,
    previous: Option<String>,
    is_done: bool,
}

impl Picked {
    fn member(self) -> Member {
        Member {
            id: self.id,
            gym_id: self.gym_id,
            timezone: self.timezone,
            today: self.today,
            joined_ago: self.joined_ago,
            ends_in: self.ends_in,
            previous: self.previous.as_deref().and_then(Level::find),
        }
    }
}
