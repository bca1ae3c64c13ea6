//! What a gym's members looked like at a moment of the past, and what became
//! of them in the thirty days after.
//!
//! The signals come from the statement that the night's run uses. Who has
//! left since is looked at too: without them, everybody would seem to stay. Who
//! was frozen in those thirty days, or whose gym's readers were silent, is not:
//! nothing became of them.

use anyhow::Context;
use chrono::{DateTime, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::super::facts::{self, Member};
use super::super::model::Facts;
use super::super::verdict::Level;
use crate::database::{self, Pool, Transaction, TxLimits, Unprepared};

/// Members read at once, and at the most in one gym: more teach nothing new.
const PAGE: usize = 1_000;
const MEMBERS: i64 = 20_000;

/// One member at one moment.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Row {
    pub(in super::super) signals: [f64; 6],
    /// Whether they did not come in the thirty days after.
    pub(in super::super) absent: bool,
}

/// The gym's members as they were at `moment`, those who would have a score.
pub(super) async fn rows(db: &Pool, gym: Uuid, moment: DateTime<Utc>) -> anyhow::Result<Vec<Row>> {
    let mut tx = database::begin(db, TxLimits::READ).await.context("read")?;
    let (members, gap) = then(&mut tx, gym, moment, MEMBERS)
        .await
        .context("read the members of then")?;
    drop(tx);
    let mut rows = Vec::new();
    for page in members.chunks(PAGE) {
        // A transaction of its own, so that none lasts longer than a page.
        let mut tx = database::begin(db, TxLimits::READ).await.context("read")?;
        let page = page_of(&mut tx, page, gap, moment).await;
        rows.extend(page.context("read what members did, and what became of them")?);
    }
    Ok(rows)
}

/// The same of some of the gym's members, `limit` at the most.
pub(in super::super) async fn sample(
    db: &mut Transaction,
    gym: Uuid,
    moment: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Row>> {
    let (members, gap) = then(db, gym, moment, limit).await?;
    page_of(db, &members, gap, moment).await
}

/// Who was a member then, and the mean gap of the gym.
async fn then(
    db: &mut Transaction,
    gym: Uuid,
    moment: DateTime<Utc>,
    limit: i64,
) -> Result<(Vec<Member>, f64)> {
    let members = members(Unprepared(db), gym, moment, limit).await?;
    let gaps = facts::gaps_of_gyms(db, &[gym], moment).await?;
    Ok((members, gaps.get(&gym).copied().unwrap_or_default()))
}

async fn page_of(
    db: &mut Transaction,
    page: &[Member],
    gap: f64,
    moment: DateTime<Utc>,
) -> Result<Vec<Row>> {
    let seen = facts::of_members(db, page, moment).await?;
    let ids: Vec<Uuid> = page.iter().map(|member| member.id).collect();
    let absent = absent(Unprepared(db), &ids, moment).await?;
    let known = seen.iter().map(|seen| &seen.facts).zip(absent);
    let known = known.filter(|(facts, _)| Facts::have_a_score(facts));
    let rows = known.filter_map(|(facts, absent)| {
        Some(Row {
            signals: facts.signals(gap),
            absent: absent?,
        })
    });
    Ok(rows.collect())
}

/// Who was a member then.
async fn members(
    db: Unprepared<'_>,
    gym: Uuid,
    moment: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Member>> {
    sqlx::query_as!(
        Member,
        r#"
        select m.id, m.gym_id, g.timezone,
               today.day as "today!",
               case when isfinite(m.joined_on) then today.day - m.joined_on end as joined_ago,
               case when isfinite(m.membership_ends_on)
                    then m.membership_ends_on - today.day end as ends_in,
               null as "previous: Level", false as "is_done!"
          from members m
          join gyms g on g.id = m.gym_id
          cross join lateral (
              select ($2::timestamptz at time zone g.timezone)::date as day
          ) today
         where m.gym_id = $1
           and m.status in ('active', 'cancelled', 'expired')
           and not m.churn_opt_out
           and m.anonymised_at is null
           and (m.cancelled_at is null or m.cancelled_at > $2)
           and (m.status <> 'expired' or m.membership_ends_on > today.day)
         order by m.id
         limit $3
        "#,
        gym,
        moment,
        limit,
    )
    .fetch_all(db)
    .await
}

/// Whether each of these did not come in the thirty days after; none where
/// some of these do not count.
async fn absent(
    db: Unprepared<'_>,
    members: &[Uuid],
    moment: DateTime<Utc>,
) -> Result<Vec<Option<bool>>> {
    sqlx::query_scalar!(
        r#"
        select case
                   when pauses.days && daterange(since.day + 1, since.day + 30) then null
                   else not exists (
                       select from visits v
                        where v.member_id = m.id
                          and (v.member_id, v.checked_in_at) > (m.id, $2)
                          and (v.member_id, v.checked_in_at) <= (m.id, $2 + interval '30 days')
                   )
               end as absent
          from unnest($1::uuid[]) with ordinality as m (id, place)
         cross join lateral (select ($2::timestamptz at time zone 'UTC')::date as day) since
          left join lateral pauses_of(m.id, 'UTC', since.day + 30) pauses on true
         order by m.place
        "#,
        members,
        moment,
    )
    .fetch_all(db)
    .await
}
