//! The alerts of kiosks and of whole gyms: the text that writes them, as the
//! end of its caller's statement about a batch of gyms.
//!
//! Promises that an alert is repeated once an hour at the most, so that a run
//! that comes twice changes nothing; that one grows more severe with its age
//! and never less; and that a dismissed one is not opened again while its
//! kiosk has not changed. An alert that a gym's own replaces is resolved as
//! superseded, and opened again, with its age, when the gym is no longer down
//! as a whole. Which alerts should be open is the caller's to say.

use serde_json::{Value, json};
use sqlx::types::Json;

use super::kinds::{GYM_OFFLINE, KIOSK_DEGRADED, KIOSK_OFFLINE, KIOSK_WRONG_CLOCK};

/// The kinds that a caller's `wanted` may name, worded for SQL's `format`.
pub(crate) fn kinds() -> Json<Value> {
    let worded = [
        ("kiosk_offline", KIOSK_OFFLINE),
        ("kiosk_degraded", KIOSK_DEGRADED),
        ("kiosk_wrong_clock", KIOSK_WRONG_CLOCK),
        ("gym_offline", GYM_OFFLINE),
    ]
    .map(|(name, kind)| {
        (
            name.to_owned(),
            json!(kind.about("", &["%s", "%s"], Value::Null)),
        )
    });
    Json(Value::Object(worded.into_iter().collect()))
}

/// Calls the caller's macro `statement!` with its head, with its `lead` and
/// the writing of the alerts in one, and with its tail. The open alerts of the
/// gyms and their kiosks become the wanted ones, in the same statement that
/// decides which these are. Only alerts that have to change are locked, by id.
///
/// `statement!` must bind now as `$1`, and its last argument, which is added
/// here, as `$10`. Its text up to `lead` ends in the CTE
///
/// - `subject (wanted, gym_id, kiosk_id, since, words, details, is_clear,
///   is_superseded)`: every kiosk, and every gym as a whole without a kiosk;
///   which alert should be open about it, as the name of a kind in [`kinds`],
///   or null; the words of its title; since when it has this status. The open
///   alerts of one that is not clear stay as they are; those of a superseded
///   one are resolved for its gym's own.
///
/// The tail selects; what changed is in the one row of `followed (opened,
/// resolved, escalated)`, as arrays of keys. An alert that is opened again may
/// be escalated as well.
///
/// Alerts are looked up subject by subject, each in a partial index: joined
/// otherwise, thousands of kiosks and tens of thousands of alerts have been
/// compared pair by pair, depending on what the statistics said.
macro_rules! following {
    (
        $statement:ident!(
            $row:ty, $head:literal, $lead:literal, $tail:literal, $($arg:expr),+ $(,)?
        )
    ) => {
        $statement!(
            $row,
            $head,
            $lead + r#"
        ), raised as materialized (
            select kind.kind, kind.kind || ':' || coalesce(subject.kiosk_id, subject.gym_id) as dedup_key,
                   kind.severity, format(kind.title, variadic subject.words) as title,
                   subject.details, kind.recommended_actions, subject.gym_id, subject.kiosk_id,
                   subject.since, subject.is_clear, subject.is_superseded
              from subject
              left join lateral jsonb_to_record($10::jsonb -> subject.wanted)
                   as kind (kind text, severity text, title text, recommended_actions jsonb)
                on subject.wanted is not null
        ), known as (
            select a.id, false as is_hidden, raised.kind, raised.details, raised.is_superseded
              from raised
             cross join lateral (
                  select id
                    from alerts
                   where kiosk_id = raised.kiosk_id
                     and kind in ('kiosk_offline', 'kiosk_degraded')
                     and status in ('open', 'acknowledged')
                  offset 0
             ) a
             where raised.is_clear
               and raised.kiosk_id is not null
            union all
            select a.id, false, raised.kind, raised.details, false
              from raised
             cross join lateral (
                  select id
                    from alerts
                   where dedup_key = 'gym_offline:' || raised.gym_id
                     and status in ('open', 'acknowledged')
                  offset 0
             ) a
             where raised.kiosk_id is null
            union all
            -- Resolved for the gym's own alert only: the kiosk has been down all along.
            select a.id, true, raised.kind, raised.details, false
              from raised
             cross join lateral (
                  select hidden.id
                    from alerts hidden
                   where hidden.dedup_key = raised.dedup_key
                     and hidden.status = 'resolved'
                     and hidden.details ? 'superseded_by'
                     and hidden.opened_at between raised.since and $1
                     and not exists (
                         select from alerts other
                          where other.dedup_key = raised.dedup_key
                            and other.status in ('open', 'acknowledged')
                     )
                   order by hidden.opened_at desc
                   limit 1
             ) a
             where raised.kind is not null
        ), due as materialized (
            select a.id, known.is_hidden, known.is_superseded and a.kind = 'kiosk_offline' as is_superseded,
                   now.is_over, known.details, not now.is_over and seen.is_again as is_seen_again,
                   case when not now.is_over then worse.severity end as worse
              from known
              join alerts a
                on a.id = known.id
             cross join lateral (
                  select known.kind is distinct from a.kind as is_over
             ) now
             cross join lateral (
                  select known.is_hidden or a.last_seen_at <= $1 - interval '1 hour' as is_again
             ) seen
             cross join lateral (
                  select case
                             when a.severity <> 'critical'
                              and a.opened_at <= $1 - interval '72 hours' then 'critical'
                             when a.severity in ('info', 'warning')
                              and a.opened_at <= $1 - interval '24 hours' then 'high'
                             when a.severity = 'info' then 'warning'
                         end as severity
             ) worse
             where case
                       when known.is_hidden then a.status = 'resolved'
                       else a.status in ('open', 'acknowledged')
                   end
               and a.opened_at <= $1
               and (now.is_over or seen.is_again or worse.severity is not null)
             order by a.id
               for update of a
        ), changed as (
            update alerts a
               set status = case
                       when due.is_over then 'resolved'
                       when due.is_hidden then 'open'
                       else a.status
                   end,
                   resolved_at = case when due.is_over then $1 end,
                   resolved_by = case when due.is_over then 'system' end,
                   severity = coalesce(due.worse, a.severity),
                   escalated_at = case when due.worse is null then a.escalated_at else $1 end,
                   last_seen_at = case
                       when due.is_seen_again then greatest(a.last_seen_at, $1)
                       else a.last_seen_at
                   end,
                   occurrences = a.occurrences + due.is_seen_again::int,
                   details = case
                       when due.is_superseded and due.is_over
                           then a.details || '{"superseded_by": "gym_offline"}'
                       when due.is_seen_again then due.details
                       else a.details
                   end
              from due
             where a.id = due.id
            returning a.dedup_key, due.is_hidden, due.is_over, due.worse
        ), opened as (
            insert into alerts (kind, severity, gym_id, kiosk_id, dedup_key, title, details,
                                recommended_actions, opened_at, last_seen_at)
            select kind, severity, gym_id, kiosk_id, dedup_key, title, details,
                   recommended_actions, $1, $1
              from raised
             cross join lateral (
                  select exists (
                             select from alerts a
                              where a.dedup_key = raised.dedup_key
                                and a.status in ('open', 'acknowledged')
                         ) or exists (
                             select from alerts a
                              where a.dedup_key = raised.dedup_key
                                and a.status = 'dismissed'
                                and a.opened_at >= raised.since
                         ) as already
                  offset 0
             ) told
             where kind is not null
               and not told.already
               and dedup_key not in (select dedup_key from changed where is_hidden)
            on conflict do nothing
            returning dedup_key
        ), followed as (
            select array(select dedup_key from opened
                         union all
                         select dedup_key from changed where is_hidden) as opened,
                   array(select dedup_key from changed where is_over) as resolved,
                   array(select dedup_key from changed where worse is not null) as escalated
        )
        "# + $tail,
            $($arg,)+
            $crate::alerts::kiosks::kinds() as _,
        )
    };
}

pub(crate) use following;
