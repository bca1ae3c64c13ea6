-- A gym SaaS on Supabase, adopted: its gyms, members, visits, conversations, kiosks and logs stand for ours.
--
--   jarvis-cron adopt check --file gym-supabase.sql --ports gym      tries it and changes nothing
--   jarvis-cron adopt apply --file gym-supabase.sql --ports gym
--   jarvis-cron adopt drop                                           gives the SaaS its database back
--
-- Set DATABASE_SCHEMA to a schema that PostgREST does not expose, such as jarvis; never public.
--
-- How to read it, and how to write one for another SaaS (docs/adopting.md has the contract):
--
-- * A name without a schema is in our schema, where our own tables have stepped aside. The SaaS' own are written with theirs:
--   public.gyms. The file runs in one transaction, and may only create.
-- * Each view has the columns that the contract names. What the SaaS has no column for is kept in a table `host_…` of this
--   file, made with `if not exists`: it outlives `adopt drop` while rows are in it.
-- * The triggers run with the rights of the role that applies the file, which also read past row level security. So the service's
--   own role needs no right on the SaaS' tables.
-- * What is written to the SaaS' tables, and what is read of their rows, stands in functions whose body Postgres reads once,
--   here (`begin atomic`). Like the views, they go on when a column or a table gets another name, and Postgres refuses to drop
--   a column that they use, or to give it another type. In a trigger's own body, such a name would be found missing at night.
-- * An index serves a view only where it repeats the view's expression word for word. Those on texts (`words_in`) find the
--   texts that name a member who is anonymised; without them, each such search reads the whole table.
-- * A view that is locked selects from one table. What it needs of another comes by a subquery, or by a join to a
--   `with … as not materialized`, which is not locked and still finds its index.
-- * kiosk_heartbeats stays our own table: the SaaS keeps one row for each gym, and no history. A trigger fills it from now on.

-- 1. Numbers. Visits, events and logs have a uuid, and ours a number, which only tells rows of one moment apart: 63 bits that
--    are made of the uuid do, whatever kind of uuid it is. ---------------------------------------------------------------------

create function walk_id(id uuid)
returns bigint
language sql immutable parallel safe
return uuid_hash_extended(id, 0) & 9223372036854775807;

-- 2. Gyms, and who gets their reports. What the SaaS does not know of a gym can be filled in here:
--    insert into jarvis.host_gyms (gym_id, slug, timezone) values ('…', 'lyon-7', 'Europe/Paris'). -------------------------------

create table if not exists host_gyms (
    gym_id uuid primary key,
    slug text unique,
    timezone text not null default 'Europe/Paris' check (timestamp '2026-01-01' at time zone timezone is not null),
    locale text not null default 'fr'
);

-- {"monday": {"open": "06:00", "close": "22:00"}} is our {"mon": [["06:00", "22:00"]]}. No hours at all, or none that name a
-- day, are not known: the gym is always open. Of a week that is known, a day that is not in it, or has no hours, is closed.
-- A day whose hours cannot be read is open from midnight to midnight: an alert too many is seen, one too few is not.
create function clock(word text)
returns text
language sql immutable parallel safe
as $$
    select lpad(substring(word, '\d+'), 2, '0') || ':' || coalesce(substring(word, '[:hH]\s*(\d\d)'), '00')
    where word ~* '^\s*([01]?\d|2[0-3])\s*[:h]\s*([0-5]\d)?(:[0-5]\d)?\s*$'
$$;

-- One span, {"open": "6:00", "close": "24:00"} or ["06:00", "12:00"]; null is closed. A closing at or before the opening is on
-- the next day.
create function span_of(theirs jsonb)
returns jsonb
language sql immutable parallel safe
begin atomic
    select case
        when jsonb_typeof(theirs) = 'null' or theirs in ('false', '{}') then null
        when lower(coalesce(theirs ->> 'is_closed', theirs ->> 'closed', theirs #>> '{}')) in ('true', 'closed', 'fermé', '')
            and theirs <> 'true' then null
        when jsonb_typeof(theirs) = 'object' and theirs ?| '{open,close}' and coalesce(opens, '') || coalesce(closes, '') = ''
            then null
        else coalesce('[["' || clock(opens) || '", "' || clock(closes) || '"]]', '[["00:00", "00:00"]]')::jsonb -> 0
    end
    from (
        select
            coalesce(theirs ->> 'open', theirs ->> 0) as opens,
            regexp_replace(coalesce(theirs ->> 'close', theirs ->> 1), '^\s*24', '0') as closes
    ) as said;
end;

create function hours(theirs jsonb)
returns jsonb
language sql immutable parallel safe
begin atomic
    select jsonb_object_agg(left(lower(day), 3), spans)
    from jsonb_each(case when jsonb_typeof(theirs) = 'object' then theirs else '{}' end) as days (day, said)
    cross join lateral (
        select coalesce(jsonb_agg(span_of(one) order by place) filter (where span_of(one) is not null), '[]') as spans
        from jsonb_array_elements(
            -- One span, or more of them: closed for lunch.
            case when jsonb_typeof(said) = 'array' and jsonb_typeof(said -> 0) is distinct from 'string' then said
                else jsonb_build_array(said) end
        ) with ordinality as listed (one, place)
    ) as read
    where lower(day) in ('monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday')
        or lower(day) in ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun');
end;

create view gyms as
select
    g.id,
    g.name::text as name,
    coalesce((select h.slug from host_gyms h where h.gym_id = g.id), g.id::text) as slug,
    g.status::text as status,
    coalesce((select h.timezone from host_gyms h where h.gym_id = g.id), 'Europe/Paris') as timezone,
    coalesce((select h.locale from host_gyms h where h.gym_id = g.id), 'fr') as locale,
    hours(g.opening_hours) as opening_hours,
    g.created_at
from public.gyms g;

create view report_recipients as
select u.gym_id, u.email::text as email, 'fr'::text as locale
from public.users u
where u.role = 'gym_manager'
    and u.is_active
    and u.gym_id is not null
    and u.email is not null;

-- 3. Kiosks. `degraded` is no status of the SaaS': there the kiosk is online, and host_kiosks says that it was silent since. ---

create table if not exists host_kiosks (
    kiosk_id uuid primary key,
    status text, -- as we wrote it
    host_status text, -- and what that was made
    status_since timestamptz,
    uptime real,
    maintenance_until timestamptz -- may be filled in (insert … on conflict … update): a kiosk in maintenance until then
);

create view kiosks as
select
    k.id,
    k.gym_id,
    k.slug::text as slug,
    k.name::text as name,
    case
        when k.device_revoked_at is not null then 'retired'
        when k.status = 'error' then 'offline'
        else coalesce((select h.status from host_kiosks h where h.kiosk_id = k.id and h.host_status = k.status), k.status::text)
    end as status,
    k.last_heartbeat as last_heartbeat_at,
    coalesce(
        (select h.status_since from host_kiosks h where h.kiosk_id = k.id and h.host_status = k.status),
        k.updated_at,
        k.created_at
    ) as status_since,
    30 as heartbeat_interval_seconds,
    (select h.maintenance_until from host_kiosks h where h.kiosk_id = k.id) as maintenance_until,
    k.created_at,
    coalesce(k.updated_at, k.created_at) as updated_at,
    (select h.uptime from host_kiosks h where h.kiosk_id = k.id) as uptime
from public.kiosks k;

create function turn_kiosk(its_id uuid, word text, at timestamptz)
returns text
language sql
begin atomic
    update public.kiosks
       set status = case word when 'degraded' then 'online' else word end,
           updated_at = at
     where id = its_id
    returning status;
end;

create function status_of_kiosk(its_id uuid)
returns text
language sql
begin atomic
    select status::text from public.kiosks where id = its_id;
end;

-- Null tells Postgres that no row was written.
create function write_kiosk()
returns trigger
language plpgsql security definer set search_path from current
as $$
declare
    made text := case
        when new.status is distinct from old.status then turn_kiosk(old.id, new.status, new.updated_at)
        else status_of_kiosk(old.id)
    end;
begin
    if made is null then
        return null;
    end if;
    insert into host_kiosks (kiosk_id, status, host_status, status_since, uptime)
    values (old.id, new.status, made, new.status_since, new.uptime)
    on conflict (kiosk_id) do update
    set (status, host_status, status_since, uptime)
        = (excluded.status, excluded.host_status, excluded.status_since, excluded.uptime);
    return new;
end $$;

create trigger write_kiosk
instead of update on kiosks
for each row execute function write_kiosk();

-- Each sign of life leaves a row of history, from which uptime is measured. A row of the SaaS' is passed on as a whole, so that
-- no column's name stands in the trigger.
create function heartbeat_of(kiosk public.kiosks, out kiosk_id uuid, out at timestamptz)
language sql
begin atomic
    select kiosk.id, kiosk.last_heartbeat;
end;

create function keep_heartbeat()
returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    insert into kiosk_heartbeats (kiosk_id, received_at, sent_at)
    select theirs.kiosk_id, clock_timestamp(), theirs.at
    from heartbeat_of(new) theirs;
    return null;
end $$;

create trigger jarvis_keep_heartbeat
after update of last_heartbeat on public.kiosks
for each row when (new.last_heartbeat is distinct from old.last_heartbeat)
execute function keep_heartbeat();

-- 4. Members. Whether one left the SaaS says by is_active alone, whatever day the membership ends on; when, and who pauses or objects to being scored, can be filled
--    in: insert into jarvis.host_members (member_id, frozen_until) values ('…', '2027-03-01')
--    on conflict (member_id) do update set frozen_until = excluded.frozen_until. ---------------------------------------------

create table if not exists host_members (
    member_id uuid primary key,
    cancelled_at timestamptz,
    frozen_until date,
    churn_opt_out boolean not null default false,
    anonymised_at timestamptz
);

create view members as
select
    m.id,
    m.gym_id,
    case when (select h.anonymised_at from host_members h where h.member_id = m.id) is null then m.badge_id::text end as badge_id,
    case when (select h.anonymised_at from host_members h where h.member_id = m.id) is null then m.first_name::text end
        as first_name,
    case when (select h.anonymised_at from host_members h where h.member_id = m.id) is null then m.last_name::text end
        as last_name,
    m.email::text as email,
    case
        when (select h.anonymised_at from host_members h where h.member_id = m.id) is not null then 'anonymised'
        when m.is_active then 'active'
        when m.membership_expires < current_date then 'expired'
        else 'cancelled'
    end as status,
    coalesce(m.member_since, m.created_at::date) as joined_on,
    m.membership_expires as membership_ends_on,
    (select h.cancelled_at from host_members h where h.member_id = m.id) as cancelled_at,
    (select h.frozen_until from host_members h where h.member_id = m.id) as frozen_until,
    m.last_visit as last_contact_at,
    coalesce((select h.churn_opt_out from host_members h where h.member_id = m.id), false) as churn_opt_out,
    (select h.anonymised_at from host_members h where h.member_id = m.id) as anonymised_at,
    m.created_at
from public.gym_members_v2 m;

-- Anonymising empties what the SaaS holds of the member in its other tables too. First name, last name and badge may not be
-- null there.
create function empty_member(its_id uuid)
returns boolean
language sql
begin atomic
    delete from public.member_facts where member_id = its_id;
    delete from public.conversation_summaries where member_id = its_id;
    delete from public.member_analytics where member_id = its_id;
    update public.member_visits set badge_scanned = null where member_id = its_id;
    update public.manager_alerts
       set title = 'anonyme',
           description = null,
           recommended_actions = '[]',
           member_id = null
     where member_id = its_id;
    update public.gym_members_v2
       set first_name = 'anonyme',
           last_name = 'anonyme',
           badge_id = 'anonyme-' || id,
           email = null,
           phone = null,
           date_of_birth = null,
           gender = null,
           profile_photo_url = null,
           member_preferences = '{}',
           member_notes = null
     where id = its_id
    returning true;
end;

create function touch_member(its_id uuid, at timestamptz)
returns boolean
language sql
begin atomic
    update public.gym_members_v2 set last_visit = at where id = its_id returning true;
end;

create function write_member()
returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    if new.status <> 'anonymised' or old.status = 'anonymised' then
        return case when touch_member(old.id, new.last_contact_at) then new end;
    end if;
    if empty_member(old.id) is null then
        return null;
    end if;
    insert into host_members (member_id, anonymised_at)
    values (old.id, new.anonymised_at)
    on conflict (member_id) do update set anonymised_at = excluded.anonymised_at;
    return new;
end $$;

create trigger write_member
instead of update on members
for each row execute function write_member();

create index if not exists jarvis_facts_member on public.member_facts (member_id);
create index if not exists jarvis_summaries_member on public.conversation_summaries (member_id);
create index if not exists jarvis_alerts_member on public.manager_alerts (member_id);

-- A member that the SaaS deletes is forgotten here too.
create function id_of_member(member public.gym_members_v2)
returns uuid
language sql
return member.id;

create function forget_member()
returns trigger
language plpgsql security definer set search_path from current
as $$
declare
    gone uuid := id_of_member(old);
begin
    delete from member_churn where member_id = gone;
    delete from member_churn_history where member_id = gone;
    delete from member_freezes where member_id = gone;
    update alerts set member_id = null where member_id = gone;
    delete from host_members where member_id = gone;
    return null;
end $$;

create trigger jarvis_forget_member
after delete on public.gym_members_v2
for each row execute function forget_member();

-- 5. Visits. Postgres deletes through a view of one table by itself, many rows at once: here, and from events and logs. ---------

create view visits as
select walk_id(v.id) as id, v.gym_id, v.member_id, v.created_at as checked_in_at
from public.member_visits v;

create index jarvis_visits_walk on public.member_visits (created_at, walk_id(id));
create index jarvis_visits_number on public.member_visits (walk_id(id));
create index jarvis_visits_member on public.member_visits (member_id, created_at);
create index jarvis_visits_gym on public.member_visits (gym_id, created_at);

-- 6. Conversations. A session names its member by the gym and the badge; what was said of it in summaries is told of it. -------

-- A statement that updates a row with an index of texts gets that index ready, which takes longer than the row. So what is to be
-- redacted is noted row by row, and written by one statement at the end. Rows are here no longer than that statement.
create table if not exists host_redactions (
    transaction xid8 not null default pg_current_xact_id(),
    kind text not null,
    row_id text not null,
    words text,
    rest jsonb,
    keeps_member boolean,
    at timestamptz
);

create view conversation_sessions as
with m as not materialized (
    select id, gym_id, badge_id from public.gym_members_v2
)
select
    md5(s.session_id)::uuid as id,
    s.gym_id,
    (select k.id from public.kiosks k where k.slug = s.kiosk_slug) as kiosk_id,
    m.id as member_id,
    s.session_started_at as started_at,
    s.session_ended_at as ended_at,
    (select c.sentiment::text from public.conversation_summaries c where c.session_id = s.session_id limit 1) as sentiment,
    (select c.sentiment_score::real from public.conversation_summaries c where c.session_id = s.session_id limit 1)
        as sentiment_score,
    coalesce((select c.key_topics::text[] from public.conversation_summaries c where c.session_id = s.session_id limit 1), '{}')
        as topics,
    coalesce(s.session_metadata, '{}') as metadata,
    case when coalesce(s.session_metadata, '{}') = '{}' then coalesce(s.updated_at, s.session_started_at) end as redacted_at,
    s.session_id as host_id
from public.openai_realtime_sessions s
left join m on m.gym_id = s.gym_id and m.badge_id = s.member_badge_id;

create index jarvis_sessions_id on public.openai_realtime_sessions ((md5(session_id)::uuid));
create index jarvis_sessions_member on public.openai_realtime_sessions (gym_id, member_badge_id);
create index jarvis_sessions_end on public.openai_realtime_sessions
    (coalesce(session_ended_at, session_started_at), (md5(session_id)::uuid));
create index jarvis_sessions_trace on public.openai_realtime_sessions using gin (
    uuids_in(coalesce(session_metadata, '{}')::text),
    words_in(coalesce(session_metadata, '{}')::text)
) with (fastupdate = off);
create index jarvis_summaries_session on public.conversation_summaries (session_id);

create function redact_sessions()
returns void
language sql
begin atomic
    update public.openai_realtime_sessions s
       set session_metadata = r.rest,
           member_badge_id = case when r.keeps_member then s.member_badge_id end,
           updated_at = r.at
      from host_redactions r
     where r.transaction = pg_current_xact_id()
       and r.kind = 'session'
       and s.session_id = r.row_id;
    delete from host_redactions where transaction = pg_current_xact_id() and kind = 'session';
end;

create function write_session()
returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    if tg_level = 'STATEMENT' then
        perform redact_sessions();
        return null;
    end if;
    insert into host_redactions (kind, row_id, rest, keeps_member, at)
    values ('session', old.host_id, new.metadata, new.member_id is not null, coalesce(new.redacted_at, now()));
    return new;
end $$;

create trigger write_session
instead of update on conversation_sessions
for each row execute function write_session();

create trigger write_sessions
after update on conversation_sessions
for each statement execute function write_session();

-- What a tool was asked and what it answered. An index takes only what Postgres knows to be immutable, which
-- jsonb_build_object is not.
create function payload_of(args jsonb, result jsonb)
returns jsonb
language sql immutable parallel safe
return jsonb_strip_nulls(
    jsonb_set(jsonb_set('{}', '{tool_args}', coalesce(args, 'null')), '{tool_result}', coalesce(result, 'null'))
);

create view conversation_events as
select
    walk_id(e.id) as id,
    md5(e.session_id)::uuid as session_id,
    e.transcript,
    payload_of(e.tool_args, e.tool_result) as payload,
    e."timestamp" as occurred_at,
    e.id as host_id
from public.conversation_events e;

create index jarvis_events_walk on public.conversation_events ("timestamp", walk_id(id));
create index jarvis_events_number on public.conversation_events (walk_id(id));
create index jarvis_events_session on public.conversation_events ((md5(session_id)::uuid), "timestamp");
create index jarvis_events_trace on public.conversation_events using gin (
    uuids_in(coalesce(transcript, '') || ' ' || payload_of(tool_args, tool_result)::text),
    words_in(coalesce(transcript, '') || ' ' || payload_of(tool_args, tool_result)::text)
) with (fastupdate = off);

create function redact_events()
returns void
language sql
begin atomic
    update public.conversation_events e
       set transcript = r.words,
           tool_args = r.rest -> 'tool_args',
           tool_result = r.rest -> 'tool_result',
           member_id = null
      from host_redactions r
     where r.transaction = pg_current_xact_id()
       and r.kind = 'event'
       and e.id = r.row_id::uuid;
    delete from host_redactions where transaction = pg_current_xact_id() and kind = 'event';
end;

create function write_event()
returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    if tg_level = 'STATEMENT' then
        perform redact_events();
        return null;
    end if;
    insert into host_redactions (kind, row_id, words, rest) values ('event', old.host_id, new.transcript, new.payload);
    return new;
end $$;

create trigger write_event
instead of update on conversation_events
for each row execute function write_event();

create trigger write_events
after update on conversation_events
for each statement execute function write_event();

-- 7. Logs: each run's row lands in the SaaS' own table. ------------------------------------------------------------------------

create view system_logs as
select
    walk_id(g.id) as id,
    g."timestamp",
    g.log_type::text as log_type,
    coalesce(g.details ->> 'level', 'info') as level,
    coalesce(g.message, '') as message,
    coalesce(g.details, '{}') as details,
    uuid_or_null(g.details ->> 'run_id') as run_id,
    g.id as host_id
from public.system_logs g;

create index jarvis_logs_walk on public.system_logs ("timestamp", walk_id(id));
create index jarvis_logs_trace on public.system_logs using gin (
    uuids_in(coalesce(message, '') || ' ' || coalesce(details, '{}')::text),
    words_in(coalesce(message, '') || ' ' || coalesce(details, '{}')::text)
) with (fastupdate = off);

create function add_log(kind text, words text, more jsonb, at timestamptz)
returns void
language sql
begin atomic
    insert into public.system_logs (log_type, message, details, "timestamp") values (kind, words, more, at);
end;

create function redact_logs()
returns void
language sql
begin atomic
    update public.system_logs g
       set message = r.words,
           details = r.rest
      from host_redactions r
     where r.transaction = pg_current_xact_id()
       and r.kind = 'log'
       and g.id = r.row_id::uuid;
    delete from host_redactions where transaction = pg_current_xact_id() and kind = 'log';
end;

create function write_log()
returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    if tg_level = 'STATEMENT' then
        perform redact_logs();
        return null;
    elsif tg_op = 'INSERT' then
        perform add_log(
            new.log_type,
            new.message,
            coalesce(new.details, '{}') || jsonb_strip_nulls(jsonb_build_object('level', new.level, 'run_id', new.run_id)),
            coalesce(new."timestamp", now())
        );
        return new;
    end if;
    insert into host_redactions (kind, row_id, words, rest) values ('log', old.host_id, new.message, new.details);
    return new;
end $$;

create trigger write_log
instead of insert or update on system_logs
for each row execute function write_log();

create trigger write_logs
after update on system_logs
for each statement execute function write_log();

-- 8. Our alerts on the SaaS' screens, and back: what a manager resolves or dismisses there is so here, and is not opened again. --

create table if not exists host_alerts (
    alert_id uuid primary key,
    host_id uuid not null unique
);

create function change_alert(its_id uuid, urgency text, words text, word text, at timestamptz)
returns void
language sql
begin atomic
    update public.manager_alerts
       set priority = urgency,
           title = words,
           status = word,
           resolved_at = at
     where id = its_id
       and status in ('pending', 'in_progress');
end;

create function add_alert(gym uuid, member uuid, kind text, urgency text, words text, actions jsonb, at timestamptz)
returns uuid
language sql
begin atomic
    insert into public.manager_alerts (
        gym_id, member_id, alert_type, priority, title, recommended_actions, status, created_at
    )
    values (gym, member, kind, urgency, words, actions, 'pending', at)
    returning id;
end;

-- Each side hears of the other's changes, and does not answer what it is told itself.
create function tell_alert()
returns trigger
language plpgsql security definer set search_path from current
as $$
declare
    theirs uuid;
    urgency text := case new.severity
        when 'critical' then 'urgent'
        when 'high' then 'high'
        when 'warning' then 'medium'
        else 'low'
    end;
begin
    if new.gym_id is null or current_setting('jarvis_cron.telling', true) = 'us' then
        return null;
    end if;
    perform set_config('jarvis_cron.telling', 'the host', true);
    select host_id into theirs from host_alerts where alert_id = new.id;
    if theirs is not null then
        perform change_alert(
            theirs,
            urgency,
            new.title,
            case new.status when 'acknowledged' then 'in_progress' when 'open' then 'pending' else new.status end,
            new.resolved_at
        );
    elsif new.status in ('open', 'acknowledged') then
        theirs := add_alert(
            new.gym_id,
            new.member_id,
            case when new.kind like 'churn%' then 'churn_risk' else 'equipment_issue' end,
            urgency,
            new.title,
            new.recommended_actions,
            new.opened_at
        );
        insert into host_alerts (alert_id, host_id) values (new.id, theirs);
    end if;
    perform set_config('jarvis_cron.telling', '', true);
    return null;
end $$;

create trigger tell_host
after insert or update of status, severity, title on alerts
for each row execute function tell_alert();

create function answer_of(theirs public.manager_alerts, out host_id uuid, out word text, out at timestamptz, out who text)
language sql
begin atomic
    select theirs.id, theirs.status, theirs.resolved_at, theirs.resolved_by::text;
end;

-- One that a manager deletes, or that goes with its gym, is dismissed.
create function hear_alert()
returns trigger
language plpgsql security definer set search_path from current
as $$
declare
    answer record;
begin
    if current_setting('jarvis_cron.telling', true) = 'the host' then
        return null;
    end if;
    perform set_config('jarvis_cron.telling', 'us', true);
    if tg_op = 'DELETE' then
        select * from answer_of(old) into answer;
        answer.word := 'dismissed';
    else
        select * from answer_of(new) into answer;
    end if;
    update alerts
       set status = case answer.word when 'in_progress' then 'acknowledged' when 'pending' then 'open' else answer.word end,
           resolved_at = case when answer.word = 'resolved' then coalesce(answer.at, now()) end,
           resolved_by = case when answer.word = 'resolved' then coalesce(answer.who, 'manager') end
     where id = (select alert_id from host_alerts where host_id = answer.host_id)
       and status in ('open', 'acknowledged');
    perform set_config('jarvis_cron.telling', '', true);
    return null;
end $$;

create trigger jarvis_hear_alert
after update of status on public.manager_alerts
for each row when (new.status is distinct from old.status)
execute function hear_alert();

create trigger jarvis_hear_end_of_alert
after delete on public.manager_alerts
for each row execute function hear_alert();

-- 9. Our scores and reports on the SaaS' screens. -----------------------------------------------------------------------------

create function show_score(member uuid, score real, level text, factors jsonb, at timestamptz)
returns void
language sql
begin atomic
    insert into public.member_analytics (
        member_id, churn_risk_score, churn_risk_level, churn_factors, last_churn_analysis_at
    )
    values (member, score, level, factors, at)
    on conflict (member_id) do update
    set (churn_risk_score, churn_risk_level, churn_factors, last_churn_analysis_at) = (
        excluded.churn_risk_score, excluded.churn_risk_level, excluded.churn_factors, excluded.last_churn_analysis_at
    );
end;

create function hide_score(member uuid)
returns void
language sql
begin atomic
    update public.member_analytics
       set churn_risk_score = null,
           churn_risk_level = null,
           churn_factors = null,
           last_churn_analysis_at = now()
     where member_id = member;
end;

-- Who has left, or objects to being scored, has no score any more.
create function tell_score()
returns trigger
language plpgsql security definer set search_path from current
as $$
begin
    if tg_op = 'DELETE' then
        perform hide_score(old.member_id);
        return null;
    end if;
    perform show_score(
        new.member_id,
        new.score,
        case when new.level not in ('new', 'never_visited') then new.level end,
        new.factors,
        new.computed_at
    );
    return null;
end $$;

create trigger tell_host
after insert or update or delete on member_churn
for each row execute function tell_score();

create table if not exists host_reports (
    report_id uuid primary key,
    host_id uuid not null unique
);

create function change_report(its_id uuid, says jsonb, figures jsonb, advice jsonb, at timestamptz)
returns boolean
language sql
begin atomic
    update public.insights_reports
       set insights = says,
           metrics = figures,
           recommendations = advice,
           generated_at = at
     where id = its_id
    returning true;
end;

create function add_report(
    its_id uuid, gym uuid, heading text, says jsonb, figures jsonb, advice jsonb, first_day date, last_day date, at timestamptz
)
returns void
language sql
begin atomic
    insert into public.insights_reports (
        id, gym_id, report_type, title, insights, metrics, recommendations, period_start, period_end, generated_at
    )
    values (its_id, gym, 'weekly_digest', heading, says, figures, advice, first_day, last_day, at);
end;

create function tell_report()
returns trigger
language plpgsql security definer set search_path from current
as $$
declare
    theirs uuid := coalesce((select host_id from host_reports where report_id = new.id), gen_random_uuid());
    says jsonb := jsonb_build_object(
        'insights_list', new.insights,
        'sentiment_distribution', new.metrics -> 'sentiment',
        'top_topics', new.metrics -> 'top_topics',
        'sentiment_avg', new.metrics #> '{avg_sentiment,value}'
    );
    figures jsonb := new.metrics || jsonb_build_object(
        'total_conversations', new.metrics #> '{conversations,value}',
        'total_active_members', new.metrics #> '{active_members,value}',
        'avg_sentiment', new.metrics #> '{avg_sentiment,value}'
    );
begin
    if change_report(theirs, says, figures, new.recommendations, new.generated_at) is null then
        perform add_report(
            theirs,
            new.gym_id,
            'Rapport Hebdomadaire - Semaine ' || new.iso_year || '-W' || lpad(new.iso_week::text, 2, '0'),
            says,
            figures,
            new.recommendations,
            (new.period_start at time zone new.timezone)::date,
            (new.period_end at time zone new.timezone)::date - 1,
            new.generated_at
        );
        insert into host_reports (report_id, host_id) values (new.id, theirs) on conflict do nothing;
    end if;
    return null;
end $$;

create trigger tell_host
after insert or update on weekly_reports
for each row execute function tell_report();
