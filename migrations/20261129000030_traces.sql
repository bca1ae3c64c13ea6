-- A document may name a member in many ways: by an id in capitals, in braces or without dashes, under any key and at any
-- depth, or by a name, an address or a badge. So what is indexed is not one key of the document but every id that stands
-- in its text, as uuids, and every word. What the customer has added to our tables, or refers to them with, cannot be known
-- here: rules for it are rows. And a row that cannot be deleted must cost that row only, so a batch can be done row by row
-- inside the database. Indexes are found by these functions: they are never changed.

-- An id out of a document, as the type takes it: either case, with or without dashes and braces; or as a name of its kind.
create or replace function uuid_or_null(word text)
returns uuid
language sql immutable parallel safe
as $$
    select case
        when word ~* '^((urn:uuid:)?[0-9a-f]{4}(-?[0-9a-f]{4}){7}|\{[0-9a-f]{4}(-?[0-9a-f]{4}){7}\})$'
        then substr(word, case when word ~* '^urn' then 10 else 1 end)::uuid
    end
$$;

-- Every id in a text, wherever it stands, also behind digits that could begin one (`2026-<id>`). Reading a document takes long: an index spares it.
create function uuids_in(words text)
returns uuid[]
language sql immutable parallel safe cost 1000
as $$
    select coalesce(array_agg(id), '{}')
    from (
        select found[1]::uuid as id
        from regexp_matches(words, '([0-9a-fA-F]{4}(?:-?[0-9a-fA-F]{4}){7})', 'g') as found
        union
        select found[1]::uuid
        from regexp_matches(words, '([0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})', 'g') as found
    ) as ids
$$;

-- Every word in a text, in lower case. Its beginning only, because longer ones are refused; line ends of a document are
-- two characters, the second of which would belong to the next word.
create function words_in(words text)
returns tsvector
language sql immutable parallel safe cost 1000
as $$
    select to_tsvector('simple', replace(replace(left(words, 100000), '\n', ' '), '\t', ' '))
$$;

-- How a member is named in a text: by the address, by a badge that no number looks like, or by both names within four
-- words of each other. A name that stands alone is as much another's. Null: by nothing that can be searched for.
create function words_of(first_name text, last_name text, email text, badge_id text)
returns tsquery
language sql immutable parallel safe
as $$
    select string_agg(query::text, ' | ')::tsquery
    from (
        select phraseto_tsquery('simple', email) as query
        where email like '%_@_%'
            and length(email) > 5
        union all
        select phraseto_tsquery('simple', badge_id)
        where badge_id ~ '[0-9]'
            and length(badge_id) > case when badge_id ~ '[A-Za-z]' then 3 else 7 end
            -- A version, a day, a moment.
            and badge_id !~* '^v?[0-9.]*[.][0-9.]*$'
            and badge_id !~ '^(19|20)[0-9]{2}(0[1-9]|1[0-2])([0-2][0-9]|3[01])$'
            and badge_id !~ '^1[0-9]{9}([0-9]{3})?$'
        union all
        select tsquery_phrase(a, b, distance)
        from (
            values (phraseto_tsquery('simple', first_name), phraseto_tsquery('simple', last_name)),
                   (phraseto_tsquery('simple', last_name), phraseto_tsquery('simple', first_name))
        ) as names (a, b)
        cross join generate_series(1, 4) as distance
        where length(first_name) > 1
            and length(last_name) > 1
            and numnode(a) > 0
            and numnode(b) > 0
    ) as queries
    where numnode(query) > 0
$$;

-- The documents that a hold covers, with what they name: anonymising one whom they name would empty them. Reports name
-- members of their own gym, whose hold covers those already.
create view held_documents as
select
    uuids_in(coalesce(e.transcript, '') || ' ' || e.payload::text) as ids,
    words_in(coalesce(e.transcript, '') || ' ' || e.payload::text) as words,
    h.until
from conversation_events e
join held_sessions h on h.id = e.session_id
union all
select uuids_in(s.metadata::text), words_in(s.metadata::text), h.until
from conversation_sessions s
join held_sessions h on h.id = s.id
union all
select
    uuids_in(a.title || ' ' || a.details::text || ' ' || a.recommended_actions::text),
    words_in(a.title || ' ' || a.details::text || ' ' || a.recommended_actions::text),
    coalesce(h.until, 'infinity')
from alerts a
left join members m on m.id = a.member_id
left join kiosks k on k.id = a.kiosk_id
join legal_holds h on h.subject_id in (a.gym_id, a.member_id, m.gym_id, k.gym_id)
union all
select
    uuids_in(g.message || ' ' || g.details::text),
    words_in(g.message || ' ' || g.details::text),
    coalesce(h.until, 'infinity')
from system_logs g
left join members m on m.id = uuid_or_null(g.details ->> 'member_id')
left join kiosks k on k.id = uuid_or_null(g.details ->> 'kiosk_id')
join legal_holds h
    on h.subject_id in (
        uuid_or_null(g.details ->> 'gym_id'), uuid_or_null(g.details ->> 'member_id'), m.gym_id, k.gym_id
    )
union all
select
    uuids_in(v.entity_id || ' ' || v.payload::text),
    words_in(v.entity_id || ' ' || v.payload::text),
    coalesce(h.until, 'infinity')
from audit_events v
join legal_holds h on h.subject_id = any (uuids_in(v.entity_id || ' ' || v.payload::text));

-- Executes `statement` for one row after the other: `ats` and `ids` are their keys, and before them the key that the first
-- one follows. What the data refuses is counted and passed; any other error is the caller's.
create function erase_each(
    statement text,
    any_held boolean,
    moment timestamptz,
    cutoff timestamptz,
    ats timestamptz[],
    ids text[],
    skip_locked boolean,
    out erased bigint,
    out refused bigint,
    out first_error text
)
language plpgsql
as $$
declare
    rows bigint;
begin
    erased := 0;
    refused := 0;
    for n in 2..cardinality(ats) loop
        begin
            execute statement
                using any_held, moment, cutoff, ats[n - 1], ids[n - 1], ats[n], ids[n], skip_locked;
            get diagnostics rows = row_count;
            erased := erased + rows;
        exception when others then
            if left(sqlstate, 2) not in ('22', '23', '27', '44', '45', 'P0') then
                raise;
            end if;
            refused := refused + 1;
            first_error := coalesce(first_error, sqlerrm);
        end;
    end loop;
end
$$;

-- A moment that has not come: a sentinel, or the mistake of a clock or of a hand. A clock may be a day ahead, by its zone.
create function is_ahead(at timestamptz)
returns boolean
language sql stable parallel safe
return at > now() + interval '1 day';

-- A day's first moment, also of a day that no moment has.
create function start_of(day date)
returns timestamptz
language sql immutable parallel safe
return case when day is not null then least(day, date '9999-12-30')::timestamp at time zone 'UTC' end;

-- When a member was last in contact. A moment that has not come says nothing of it, and is passed over: else one of them
-- would keep a member for ever. Null: nothing else is known.
create or replace view member_contacts as
select
    id,
    gym_id,
    status,
    coalesce(greatest(last_contact_at, cancelled_at), '-infinity'::timestamptz) as known_at, -- as `members_gone`
    coalesce(
        nullif(
            greatest(
                case when not is_ahead(last_contact_at) then last_contact_at end,
                case when not is_ahead(cancelled_at) then cancelled_at end,
                case when not is_ahead(start_of(membership_ends_on)) then start_of(membership_ends_on) + interval '24 hours' end,
                (
                    select max(v.checked_in_at)
                    from visits v
                    where v.member_id = members.id
                        and v.checked_in_at <= now() + interval '1 day'
                ),
                (
                    select max(s.started_at)
                    from conversation_sessions s
                    where s.member_id = members.id
                        and s.started_at <= now() + interval '1 day'
                )
            ),
            '-infinity'
        ),
        greatest(
            case when not is_ahead(start_of(joined_on)) then start_of(joined_on) end,
            case when not is_ahead(created_at) then created_at end
        )
    ) as last_contact_at,
    coalesce(
        is_ahead(
            greatest(
                last_contact_at,
                cancelled_at,
                start_of(membership_ends_on),
                (select max(v.checked_in_at) from visits v where v.member_id = members.id),
                (select max(s.started_at) from conversation_sessions s where s.member_id = members.id)
            )
        ),
        false
    ) as has_moment_ahead
from members;

-- What else is erased when a member is anonymised: columns and rows of the customer's own.
create table erasure_rules (
    schema_name text not null,
    table_name text not null,
    column_name text not null, -- with `delete`, the key itself
    key_name text not null, -- the column that holds the member's id
    action text not null,
    position int not null, -- they are carried out in this order
    added_at timestamptz not null default now(),
    primary key (schema_name, table_name, column_name),
    constraint erasure_rules_action_known
        check (action in ('set_null', 'empty', 'delete')),
    constraint erasure_rules_delete_by_key
        check (action <> 'delete' or column_name = key_name)
);

alter table retention_policies
    drop constraint retention_policies_floor,
    add constraint retention_policies_floor
    check (
        min_days >= case
            when target in ('system_logs', 'job_runs', 'delivery_failures') then 30
            when target = 'report_deliveries' then 90
            when target = 'audit_events' then 365
            else 1
        end
    ) not valid;

insert into retention_policies
    (target, action, keep_days, min_days, legal_basis)
values
    ('report_deliveries', 'delete', 400, 90,
        'GDPR art. 5(1)(e): who was mailed which report, kept for a year and its margin'),
    ('audit_events', 'delete', 3650, 365,
        'French commercial code, art. L123-22: evidence of commercial operations is kept for ten years')
on conflict (target) do nothing;
