//! Visits, and the predictions that were made from them.

use super::statements::target;

target! {
    /// When a member's last visit goes, its moment is written into the
    /// member's `last_contact_at` by the same statement: keeping visits for a
    /// shorter time must not make a member look longer gone. A member whose
    /// row is locked keeps that visit, and a later run erases it. A moment that
    /// has not come is no later contact.
    Visits {
        facts: { table: "visits", first_id: "-9223372036854775808" },
        rows: "visits v",
        key: ("v.checked_in_at", "v.id", "bigint"),
        eligible: "v.checked_in_at < $3",
        ahead: "v.checked_in_at > $1",
        held_by: [
            "legal_holds h
                         where h.subject_id in (
                               v.gym_id,
                               v.member_id,
                               (select m.gym_id from members m where m.id = v.member_id))"
        ],
        erase: "
        with expired as materialized (
        select v.id, v.member_id, v.checked_in_at
          from visits v",
            // In the order of the walk, or a plan may go member by member.
            "
         order by v.checked_in_at, v.id
        ), latest as (
            select member_id, max(checked_in_at) as at
              from expired
             group by member_id
        ), last_visits as materialized (
            select m.id, latest.at
              from latest
              join members m
                on m.id = latest.member_id
             where m.status <> 'anonymised'
               and isfinite(latest.at)
               and (m.last_contact_at is null or m.last_contact_at < latest.at or is_ahead(m.last_contact_at))
               and not exists (
                   select from visits later
                    where later.member_id = latest.member_id
                      and later.checked_in_at > latest.at
                      and not is_ahead(later.checked_in_at)
               )
        ), unlocked as materialized (
            select m.id
              from members m
             where $8::boolean
               and m.id in (select id from last_visits)
               for no key update skip locked
        ), updated as (
            update members m
               set last_contact_at = last_visits.at
              from last_visits
             where m.id = last_visits.id
               and (not $8::boolean or m.id in (select id from unlocked))
               and m.status <> 'anonymised'
               and (m.last_contact_at is null or m.last_contact_at < last_visits.at or is_ahead(m.last_contact_at))
        )
        delete from visits v
         where v.id = any (array(select id from expired))
           and v.checked_in_at < $3
           and not ($8::boolean
                    and v.member_id in (select id from last_visits)
                    and v.member_id not in (select id from unlocked))",
    }
}

target! {
    /// A day has expired once it was over, in UTC, before the cutoff. The id
    /// of a prediction is its gym and its member, with a slash.
    ChurnHistory {
        facts: {
            table: "member_churn_history",
            first_id: "00000000-0000-0000-0000-000000000000/00000000-0000-0000-0000-000000000000"
        },
        rows: "member_churn_history p",
        key: {
            columns: ["p.scored_on, p.gym_id, p.member_id"],
            after: ["($4::timestamptz at time zone 'UTC')::date, split_part($5, '/', 1)::uuid, split_part($5, '/', 2)::uuid"],
            upto: ["($6::timestamptz at time zone 'UTC')::date, split_part($7, '/', 1)::uuid, split_part($7, '/', 2)::uuid"],
            at: "p.scored_on::timestamp at time zone 'UTC'",
            id: "p.gym_id || '/' || p.member_id",
            sample: "split_part(id, '/', 2) || to_char(at at time zone 'UTC', ' YYYY-MM-DD')",
            unique: "p.scored_on, p.member_id",
        },
        eligible: "p.scored_on < ($3::timestamptz at time zone 'UTC')::date",
        // A gym's day may be a day ahead of UTC's.
        ahead: "p.scored_on > ($1::timestamptz at time zone 'UTC')::date + 1",
        held_by: [
            "legal_holds h
                         where h.subject_id in (
                               p.gym_id,
                               p.member_id,
                               (select m.gym_id from members m where m.id = p.member_id))"
        ],
        erase: "
        with expired as materialized (
        select p.scored_on, p.member_id
          from member_churn_history p",
            // In the order of the walk, or a plan may go member by member.
            "
         order by p.scored_on, p.gym_id, p.member_id
        )
        delete from member_churn_history p
         using expired
         where p.scored_on = expired.scored_on
           and p.member_id = expired.member_id",
    }
}
