-- The service's role, with what its statements need and nothing else: it owns nothing, creates nothing, and reaches no table
-- that is not named here.
--
--   psql "$DATABASE_DIRECT_URL" -v schema=jarvis -v role=jarvis_service -v password=... -f deploy/roles.sql
--
-- schema is DATABASE_SCHEMA (public unless given), role the user of DATABASE_URL (jarvis_service unless given). password may be
-- left out where the role exists or logs in some other way.
--
-- Who migrates is another role: the one that runs `jarvis-cron migrate` owns the tables. It needs `create` on the database, or
-- on the schema where that exists: the role that the platform gave you is one. Run this file as that role, after the first
-- `migrate` and after each later one: it may be run again, and gives back what was taken away. It also makes the role, where
-- that is missing, which needs `createrole`; else have the role made first.
--
-- Rows of your own tables that a policy file erases with a member (docs/retention.md) need rights of their own:
--   grant select, update, delete on their_table to jarvis_service;
\set ON_ERROR_STOP on
\if :{?schema}
\else
\set schema public
\endif
\if :{?role}
\else
\set role jarvis_service
\endif

begin;

select format('create role %I login', :'role')
 where to_regrole(quote_ident(:'role')) is null
\gexec

\if :{?password}
alter role :"role" login password :'password';
\endif

grant usage on schema :"schema" to :"role";

select format('revoke all on %I.%I from %I', :'schema', name, :'role') as takes,
       format('grant %s on %I.%I to %I', rights, :'schema', name, :'role') as gives,
       -- For `doctor`: whether an identity is ahead of its table.
       (select format('grant select on sequence %s to %I', string_agg(objid::regclass::text, ', '), :'role')
          from pg_depend
         where classid = 'pg_class'::regclass
           and deptype = 'i'
           and refobjsubid > 0
           and refobjid = to_regclass(format('%I.%I', :'schema', name))
        having count(*) > 0) as reads
  from (values
    ('_sqlx_migrations', 'select'),
    ('adoptions', 'select'),
    ('alerts', 'select, insert, update, delete'),
    ('audit_events', 'select, insert, update, delete'),
    ('churn_accuracy', 'select, insert, update'),
    ('churn_members', 'select'),
    ('churn_models', 'select, insert'),
    ('churn_offsets', 'select, insert'),
    ('conversation_events', 'select, update, delete'),
    ('conversation_sessions', 'select, update'),
    ('delivery_failures', 'select, insert, update, delete'),
    ('erasure_log', 'select, insert, update'),
    ('erasure_rules', 'select, insert, delete'),
    ('gyms', 'select'),
    ('held_documents', 'select'),
    ('held_members', 'select'),
    ('held_sessions', 'select'),
    ('job_leases', 'select, insert, update'),
    ('job_pauses', 'select, insert, update'),
    ('job_run_totals', 'select, insert, update'),
    ('job_runs', 'select, insert, update, delete'),
    ('job_totals', 'select, insert, update'),
    ('kiosk_heartbeats', 'select, update, delete'),
    ('kiosk_maintenances', 'select, insert, update, delete'),
    ('kiosks', 'select, update'),
    ('known_maintenances', 'select'),
    ('legal_holds', 'select, delete'),
    ('member_churn', 'select, insert, update, delete'),
    ('member_churn_history', 'select, insert, update, delete'),
    ('member_contacts', 'select'),
    ('member_freezes', 'select, insert, update, delete'),
    ('members', 'select, update'),
    ('order_expirations', 'select, insert, update, delete'),
    ('open_deliveries', 'select'),
    ('orders', 'select, update'),
    ('payment_intents', 'select, update'),
    ('report_deliveries', 'select, insert, update, delete'),
    ('report_recipients', 'select'),
    ('retention_policies', 'select, update'),
    ('stock_levels', 'select, update'),
    ('stock_reservations', 'select, update'),
    ('system_logs', 'select, insert, update, delete'),
    ('visit_silences', 'select, insert, update'),
    ('visits', 'select, update, delete'),
    ('weekly_reports', 'select, insert, update')
) as needed (name, rights)
 -- Who owns them needs no grant, and would lose what it has.
 where not exists (
     select from pg_class
      where oid = to_regclass(format('%I.%I', :'schema', name))
        and relowner = to_regrole(quote_ident(:'role'))
 )
\gexec

-- Everyone may call a function, unless default privileges say otherwise.
select format('grant execute on function %I.%I to %I', :'schema', name, :'role')
  from unnest(array[
    'active_days',
    'active_days_before',
    'erase_each',
    'forget_last_sync',
    'forget_scores_of_the_deleted',
    'intent_is_settled',
    'is_ahead',
    'is_visit',
    'lease_is_ahead',
    'lease_is_alive',
    'mailbox_of',
    'order_seen',
    'pause_holds',
    'pauses_of',
    'percent_decoded',
    'plain_words',
    'planned_end',
    'start_of',
    'unless_ahead',
    'uuid_or_null',
    'uuids_in',
    'within_calendar',
    'words_in',
    'words_of'
]) as called (name)
\gexec

commit;
