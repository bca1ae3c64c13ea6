//! Time that is no absence: a member was frozen, or the readers of the whole
//! gym were silent.
//!
//! Reads it for members who are judged, and for windows whose outcome counts.
//! When a member was frozen, as far as it is known, says `freezes_of` in the
//! database; when readers were silent, [`Silences`].

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::facts::Member;
use super::silences::Silences;
use crate::database::{Transaction, Unprepared};

/// Spans of days, each with the place of its member, from zero; the last day
/// is the first one after.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    pub(super) places: Vec<i64>,
    pub(super) began: Vec<NaiveDate>,
    pub(super) ended: Vec<NaiveDate>,
}

impl Pauses {
    fn add(&mut self, place: i64, began_on: NaiveDate, ended_on: NaiveDate) {
        self.places.push(place);
        self.began.push(began_on);
        self.ended.push(ended_on);
    }
}

/// The pauses of each of `members`, as far as they are known at `known_at`,
/// and by default at the moment that the member is judged at.
pub(super) async fn of_members(
    db: &mut Transaction,
    members: &[Member],
    silences: &Silences,
    known_at: Option<DateTime<Utc>>,
) -> Result<Pauses> {
    let mut pauses = Pauses::default();
    let (mut places, mut ids, mut moments) = (Vec::new(), Vec::new(), Vec::new());
    for (place, member) in (0..).zip(members) {
        for (began_on, ended_on) in silences.of(member.gym_id) {
            pauses.add(place, began_on, ended_on);
        }
        if member.may_have_frozen {
            places.push(place);
            ids.push(member.id);
            moments.push(known_at.unwrap_or(member.at));
        }
    }
    if ids.is_empty() {
        return Ok(pauses);
    }
    // A freeze that lasts ends when the calendar does.
    let freezes = sqlx::query!(
        r#"
        select m.place as "place!",
               f.began_on as "began_on!",
               coalesce(f.ended_on, '9999-12-31') as "ended_on!"
          from unnest($1::bigint[], $2::uuid[], $3::timestamptz[]) as m (place, id, at)
         cross join lateral freezes_of(m.id, m.at) f
         where f.began_on < coalesce(f.ended_on, '9999-12-31')
        "#,
        &places,
        &ids,
        &moments,
    )
    .fetch_all(Unprepared(db))
    .await?;
    for freeze in freezes {
        pauses.add(freeze.place, freeze.began_on, freeze.ended_on);
    }
    Ok(pauses)
}
