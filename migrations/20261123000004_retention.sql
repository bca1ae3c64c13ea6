-- Erasing must be exact and must stay cheap on tables of many millions of rows. So each target has one index that is the
-- order of its walk, id included: a batch is a span of that index, however many rows share one moment, and what was
-- passed is never read again. What a legal hold covers, and when somebody was last heard of, are views, so that every
-- rule means the same by them. Nothing that is erased leaves a trace by which it could be put together again.

-- The walks of cleanup-old-data, oldest first. Those that stood on the date alone are replaced; other readers of them
-- (the latest logs, the levels of a day) find the same columns in front.
drop index conversation_events_by_age;
create index conversation_events_by_age
    on conversation_events (occurred_at, id);

drop index conversation_sessions_to_redact;
create index conversation_sessions_to_redact
    on conversation_sessions (ended_at, id)
    where redacted_at is null;

drop index kiosk_heartbeats_by_age;
create index kiosk_heartbeats_by_age
    on kiosk_heartbeats (received_at, id);

drop index visits_by_age;
create index visits_by_age
    on visits (checked_in_at, id);

drop index system_logs_by_time;
create index system_logs_by_time
    on system_logs ("timestamp", id);

drop index job_runs_by_age;
create index job_runs_by_age
    on job_runs (started_at, id);

drop index member_churn_history_by_day;
create index member_churn_history_by_day
    on member_churn_history (scored_on, gym_id, member_id);

-- A dismissed alert has no moment of resolution; it ended when it was last seen.
drop index alerts_by_resolution;
create index alerts_by_end
    on alerts ((coalesce(resolved_at, last_seen_at)), id)
    where status in ('resolved', 'dismissed');

-- Most of those who left did so lately, and this keeps them out of the walk; visits and conversations are looked up for
-- the few who remain.
drop index members_gone;
create index members_gone
    on members ((coalesce(greatest(last_contact_at, cancelled_at), '-infinity'::timestamptz)), id)
    where status in ('cancelled', 'expired');

-- cleanup-old-data: documents that name a member, found when that member is anonymised. Hashed, because such a value
-- may be of any length, and a document must never be refused for that.
create index conversation_sessions_naming_member
    on conversation_sessions using hash ((metadata ->> 'member_id'))
    where metadata ? 'member_id';

create index conversation_events_naming_member
    on conversation_events using hash ((payload ->> 'member_id'))
    where payload ? 'member_id';

create index alerts_naming_member
    on alerts using hash ((details ->> 'member_id'))
    where details ? 'member_id';

create index system_logs_naming_member
    on system_logs using hash ((details ->> 'member_id'))
    where details ? 'member_id';

create index audit_events_naming_member
    on audit_events using hash ((payload ->> 'member_id'))
    where payload ? 'member_id';

create index weekly_reports_naming_members
    on weekly_reports using gin ((metrics -> 'at_risk') jsonb_path_ops);

-- Whom a hold covers is found from the row, by its own keys, and never by listing all that a held gym owns.
create view held_sessions as
select s.id, coalesce(h.until, 'infinity') as until
  from conversation_sessions s
  left join members m on m.id = s.member_id
  left join kiosks k on k.id = s.kiosk_id
  join legal_holds h on h.subject_id in (s.gym_id, s.member_id, m.gym_id, k.gym_id);

-- Anonymising changes rows of the member that may lie in another gym, and a hold on that gym covers them.
create view held_members as
select m.id, coalesce(h.until, 'infinity') as until
  from members m
  join legal_holds h on h.subject_id in (m.id, m.gym_id)
union all
select v.member_id, coalesce(h.until, 'infinity')
  from visits v
  join legal_holds h on h.subject_id = v.gym_id
union all
select s.member_id, coalesce(h.until, 'infinity')
  from conversation_sessions s
  left join kiosks k on k.id = s.kiosk_id
  join legal_holds h on h.subject_id in (s.gym_id, k.gym_id)
union all
select a.member_id, coalesce(h.until, 'infinity')
  from alerts a
  left join kiosks k on k.id = a.kiosk_id
  join legal_holds h on h.subject_id in (a.gym_id, k.gym_id);

-- An id out of a document, in which anything may stand.
create function uuid_or_null(word text)
returns uuid
language sql immutable parallel safe
as $$ select case when word ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' then word::uuid end $$;

create index legal_holds_of_any_subject
    on legal_holds (subject_id);

-- When a member was last heard of. The day a membership ends counts to its last hour; joining is the last resort.
create view member_contacts as
select id, gym_id, status,
       coalesce(greatest(last_contact_at, cancelled_at), '-infinity'::timestamptz) as known_at, -- as `members_gone`
       coalesce(
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
           greatest(least(joined_on, date '9999-12-30')::timestamp at time zone 'UTC', created_at)
       ) as last_contact_at
  from members;

-- Not valid: it binds what is written from now on, and takes no lock to read what was written before.
alter table members
    add constraint members_anonymised_are_nobody
    check (
        status <> 'anonymised'
        or (first_name is null and last_name is null and email is null and badge_id is null)
    ) not valid;

-- What a run has erased from a table is one row, which its batches add to.
create unique index erasure_log_of_run
    on erasure_log (run_id, target);
