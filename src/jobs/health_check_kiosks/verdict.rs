//! What a kiosk is: online, degraded or offline; one text for every
//! statement that judges.
//!
//! Owns the rule. Judging is one comparison per kiosk, because the hours of
//! its gym have been turned into two instants before ([`super::gyms`]).

use chrono::{DateTime, TimeDelta, Utc};

use crate::engine::JobContext;

/// A clock may run ahead by so much; and a heartbeat may be as much younger
/// than the moment a run judges by, because it came in while it was running.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Silences that began in this time are held to be the fleet's, not a kiosk's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) since: DateTime<Utc>,
    /// None = all that began since.
    pub(super) until: Option<DateTime<Utc>>,
}

/// Until when a `last_heartbeat_at` is believed. A replay sees nothing that
/// came after its moment.
pub(super) fn believed_until(ctx: &JobContext) -> DateTime<Utc> {
    match ctx.options.as_of {
        Some(_) => ctx.now,
        None => ctx.now + TOLERANCE,
    }
}

/// A statement over the kiosks of a batch of gyms: `head`, the judged kiosks,
/// `tail`. Its parameters are `$1` now, `$2` to `$4` the gyms column by
/// column, `$5` until when a heartbeat is believed, `$6` and `$7` what is
/// [`Held`], `$8` and `$9` for which intervals of heartbeats, and then those
/// given. What it may name:
///
/// - `k`: the kiosk; `judged.verdict`: null when it is to stay untouched, and
///   its status when its silence is held to be the fleet's.
/// - `worse.is_so`: its silence would turn it for the worse; `worse.silent_since`:
///   since when, also of one that was never seen.
/// - `seen.heard_at`: its last sign on our clock; null = never seen. A
///   `last_heartbeat_at` that is not believed comes from a clock that runs
///   ahead, or is later than the moment that is replayed: then the newest
///   heartbeat decides.
/// - `seen.silent_since`: the same, or the end of a maintenance after it.
/// - `heard.is_ahead`: its clock runs ahead, so it is never online.
///
/// The rule is written where a row lock re-checks it: on the kiosk's newest
/// version, in one query level. Heartbeats are not looked up again then; so a
/// kiosk that needs them only now is left to the next run (`heard.is_asked`
/// was false). Hardly any kiosk needs them, and for the others nothing is
/// looked up.
macro_rules! judging {
    (
        $row:ty, $head:literal, $tail:literal $(+ $end:literal)*,
        $ctx:expr, $gyms:expr $(, $($more:tt)*)?
    ) => {
        sqlx::query_as!(
            $row,
            $head + r#"
          from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[], $8::int[], $9::int[])
               as gym (id, degraded_before, offline_before, above, upto)
          join kiosks k
            on k.gym_id = gym.id
           and k.created_at <= $1
           and (k.heartbeat_interval_seconds <= gym.above) is not true
           and (k.heartbeat_interval_seconds > gym.upto) is not true
         cross join lateral (
              select coalesce(k.last_heartbeat_at > $5, false) as is_asked,
                     case when k.last_heartbeat_at > $5 then (
                         select b.received_at
                           from kiosk_heartbeats b
                          where b.kiosk_id = k.id
                            and b.received_at <= $1
                          order by b.received_at desc
                          limit 1
                     ) end as received_at,
                     case when k.last_heartbeat_at > $5 then (
                         select b.sent_at > b.received_at + interval '5 minutes'
                           from kiosk_heartbeats b
                          where b.kiosk_id = k.id
                            and b.received_at <= $1
                          order by b.received_at desc
                          limit 1
                     ) end as is_ahead
              offset 0
          ) heard
         cross join lateral (
              select case
                         when k.last_heartbeat_at > $5 then heard.received_at
                         else k.last_heartbeat_at
                     end as heard_at,
                     case when k.maintenance_until <= $1 then k.maintenance_until end
                         as maintained_until
          ) sign
         cross join lateral (
              select sign.heard_at, greatest(sign.heard_at, sign.maintained_until) as silent_since
          ) seen
         cross join lateral (
              select case
                         when gym.offline_before is null
                           or k.status not in ('online', 'degraded', 'offline', 'maintenance')
                           or not coalesce(k.maintenance_until <= $1, k.status <> 'maintenance')
                           or (k.last_heartbeat_at > $5 and not heard.is_asked)
                             then null
                         when seen.heard_at is null
                          and greatest(k.created_at, sign.maintained_until)
                              > $1 - greatest(
                                    interval '24 hours',
                                    make_interval(secs => 4.0 * k.heartbeat_interval_seconds)
                                )
                             then null
                         when seen.heard_at is null
                           or seen.silent_since < gym.offline_before
                             then 'offline'
                         when seen.silent_since < gym.degraded_before
                           or heard.is_ahead
                             then 'degraded'
                         else 'online'
                     end as earned
          ) ruled
         cross join lateral (
              select (k.status, ruled.earned) in (
                         ('online', 'degraded'), ('online', 'offline'), ('degraded', 'offline')
                     ) as is_so,
                     coalesce(seen.silent_since, k.created_at) as silent_since
          ) worse
         cross join lateral (
              select case
                         when worse.is_so
                          and worse.silent_since >= $6
                          and ($7::timestamptz is null or worse.silent_since < $7)
                             then k.status
                         else ruled.earned
                     end as verdict
          ) judged
            "# + $tail $(+ $end)*,
            $ctx.now,
            &$gyms.ids,
            &$gyms.degraded_before as &[Option<chrono::DateTime<chrono::Utc>>],
            &$gyms.offline_before as &[Option<chrono::DateTime<chrono::Utc>>],
            $crate::jobs::health_check_kiosks::verdict::believed_until($ctx),
            $gyms.held.map(|held| held.since),
            $gyms.held.and_then(|held| held.until),
            &$gyms.above,
            &$gyms.upto,
            $($($more)*)?
        )
    };
}

pub(super) use judging;
