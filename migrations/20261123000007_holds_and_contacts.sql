-- Anonymising a member also empties documents of others that name the member, and a hold on one of those documents must
-- keep it whole. A moment that is no moment (an infinite one) says nothing of when somebody was last heard of, and must
-- neither let a member be forgotten too early nor reach a program that cannot hold it. And many intents that Stripe does
-- not know are believed once the key is proven by one that Stripe knew before.

-- Named as the document writes it, so that the indexes on these expressions find it. Reports name members of their own
-- gym, whose hold covers those already.
create view held_namings as
select e.payload ->> 'member_id' as named, h.until
  from conversation_events e
  join held_sessions h on h.id = e.session_id
 where e.payload ? 'member_id'
union all
select s.metadata ->> 'member_id', h.until
  from conversation_sessions s
  join held_sessions h on h.id = s.id
 where s.metadata ? 'member_id'
union all
select a.details ->> 'member_id', coalesce(h.until, 'infinity')
  from alerts a
  left join members m on m.id = a.member_id
  left join kiosks k on k.id = a.kiosk_id
  join legal_holds h on h.subject_id in (a.gym_id, a.member_id, m.gym_id, k.gym_id)
 where a.details ? 'member_id'
union all
select g.details ->> 'member_id', coalesce(h.until, 'infinity')
  from system_logs g
  left join kiosks k on k.id = uuid_or_null(g.details ->> 'kiosk_id')
  join legal_holds h on h.subject_id in (uuid_or_null(g.details ->> 'gym_id'), k.gym_id)
 where g.details ? 'member_id';

-- As before, but for what is `-infinity`: then joining counts.
create or replace view member_contacts as
select id, gym_id, status,
       coalesce(greatest(last_contact_at, cancelled_at), '-infinity'::timestamptz) as known_at, -- as `members_gone`
       coalesce(
           nullif(
               greatest(
                   last_contact_at,
                   cancelled_at,
                   case
                       when membership_ends_on > '9999-12-30' then 'infinity'
                       else (membership_ends_on + 1)::timestamp at time zone 'UTC'
                   end,
                   (select max(v.checked_in_at) from visits v where v.member_id = members.id),
                   (select max(s.started_at) from conversation_sessions s where s.member_id = members.id)
               ),
               '-infinity'
           ),
           greatest(least(joined_on, date '9999-12-30')::timestamp at time zone 'UTC', created_at)
       ) as last_contact_at
  from members;

update job_pauses
   set until = null
 where until = 'infinity';

alter table job_pauses
    add constraint job_pauses_have_an_end_or_none
    check (isfinite(paused_at) and (until is null or isfinite(until))) not valid;

alter table retention_policies
    add constraint retention_policies_updated_once
    check (isfinite(updated_at)) not valid;

-- cleanup-stale-payment-intents: the intent that Stripe was last known to know.
create index payment_intents_known_to_stripe
    on payment_intents (last_synced_at)
    where last_synced_at is not null
      and status <> 'missing';
