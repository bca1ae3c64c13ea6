//! What a gym's members looked like at a moment of the past, and what became
//! of them in the thirty days after.
//!
//! The signals come from the statement that the night's run uses. Who has
//! left since is looked at too: without them, everybody would seem to stay.

use anyhow::Context;
use chrono::{DateTime, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::super::facts::{self, Member};
use super::super::model::Facts;
use super::super::verdict::Level;
use crate::database::{self, Pool, TxLimits, Unprepared};

/// Members read at once, and at the most in one gym: more teach nothing new.
const PAGE: usize = 1_000;
const MEMBERS: i64 = 20_000;

/// One member at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) signals: [f64; 6],
    /// Whether they did not come in the thirty days after.
    pub(super) absent: bool,
}

/// The gym's members as they were at `moment`, those who would have a score.
pub(super) async fn rows(db: &Pool, gym: Uuid, moment: DateTime<Utc>) -> anyhow::Result<Vec<Row>> {
    let mut tx = database::begin(db, TxLimits::READ).await.context("read")?;
    let members = members(Unprepared(&mut tx), gym, moment)
        .await
        .context("read the members of then")?;
    let gaps = facts::gaps_of_gyms(&mut tx, &[gym], moment)
        .await
        .context("read the rhythm of the gym")?;
    drop(tx);
    let gap = gaps.get(&gym).copied().unwrap_or_default();
    let mut rows = Vec::new();
    for page in members.chunks(PAGE) {
        // A transaction of its own, so that none lasts longer than a page.
        let mut tx = database::begin(db, TxLimits::READ).await.context("read")?;
        let facts = facts::of_members(&mut tx, page, moment)
            .await
            .context("read what members did")?;
        let ids: Vec<Uuid> = page.iter().map(|member| member.id).collect();
        let absent = absent(Unprepared(&mut tx), &ids, moment)
            .await
            .context("read what became of them")?;
        let known = facts.iter().zip(absent);
        let known = known.filter(|(facts, _)| Facts::have_a_score(facts));
        rows.extend(known.map(|(facts, absent)| Row {
            signals: facts.signals(gap),
            absent,
        }));
    }
    Ok(rows)
}

/// Who was a member then.
async fn members(db: Unprepared<'_>, gym: Uuid, moment: DateTime<Utc>) -> Result<Vec<Member>> {
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
        MEMBERS,
    )
    .fetch_all(db)
    .await
}

/// Whether each of these did not come in the thirty days after.
async fn absent(db: Unprepared<'_>, members: &[Uuid], moment: DateTime<Utc>) -> Result<Vec<bool>> {
    sqlx::query_scalar!(
        r#"
        select not exists (
                   select from visits v
                    where v.member_id = m.id
                      and v.checked_in_at > $2
                      and v.checked_in_at <= $2 + interval '30 days'
               ) as "absent!"
          from unnest($1::uuid[]) with ordinality as m (id, place)
         order by m.place
        "#,
        members,
        moment,
    )
    .fetch_all(db)
    .await
}
