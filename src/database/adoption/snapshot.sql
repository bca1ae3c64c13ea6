-- Everything that is in the database but not Postgres' own: where it stands, how Postgres describes it, and what it looks like.
with spaces as (
    select oid
      from pg_namespace
     where nspname not like 'pg\_%'
       and nspname <> 'information_schema'
), objects as (
    select 'pg_class' as class, c.oid,
           md5(concat_ws('|', c.relname, c.relnamespace, c.relkind, c.relowner, c.relacl, c.reloptions,
                         c.relrowsecurity, c.relforcerowsecurity, c.relpersistence, c.relreplident, c.reltablespace,
                         -- Another file on disk: it was emptied, or written anew.
                         case when c.relkind in ('r', 'i') then c.relfilenode end,
                         (select concat_ws(',', i.indisclustered, i.indisreplident) from pg_index i where i.indexrelid = c.oid),
                         case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
                         (select string_agg(concat_ws(',', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
                                                      a.attisdropped, a.attacl, a.attgenerated, a.attidentity,
                                                      a.attstorage, a.attstattarget, a.attoptions,
                                                      pg_get_expr(d.adbin, d.adrelid)), ';' order by a.attnum)
                            from pg_attribute a
                            left join pg_attrdef d
                              on d.adrelid = a.attrelid
                             and d.adnum = a.attnum
                           where a.attrelid = c.oid
                             and a.attnum > 0))) as looks
      from pg_class c
     where c.relnamespace in (select oid from spaces)
       and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I')
    union all
    select 'pg_proc', p.oid,
           md5(concat_ws('|', p.proname, p.pronamespace, p.proowner, p.proacl, p.proconfig, p.prosrc, p.prosqlbody::text,
                         p.provolatile, p.prosecdef, p.proisstrict, p.proparallel))
      from pg_proc p
     where p.pronamespace in (select oid from spaces)
    union all
    select 'pg_trigger', t.oid, md5(concat_ws('|', t.tgname, t.tgrelid, t.tgfoid, t.tgtype, t.tgenabled, t.tgqual::text))
      from pg_trigger t
     where not t.tgisinternal
    union all
    select 'pg_constraint', k.oid, md5(concat_ws('|', k.conname, k.convalidated, pg_get_constraintdef(k.oid)))
      from pg_constraint k
     where k.connamespace in (select oid from spaces)
    union all
    select 'pg_type', y.oid,
           md5(concat_ws('|', y.typname, y.typowner, y.typacl, y.typnotnull, y.typdefault,
                         (select string_agg(e.enumlabel, ',' order by e.enumsortorder) from pg_enum e where e.enumtypid = y.oid)))
      from pg_type y
     where y.typnamespace in (select oid from spaces)
       and y.typtype in ('e', 'd', 'c', 'r')
    union all
    select 'pg_namespace', n.oid, md5(concat_ws('|', n.nspname, n.nspowner, n.nspacl))
      from pg_namespace n
     where n.oid in (select oid from spaces)
    union all
    select 'pg_policy', o.oid, md5(concat_ws('|', o.polname, o.polcmd, o.polpermissive, o.polroles, o.polqual::text, o.polwithcheck::text))
      from pg_policy o
    union all
    select 'pg_extension', x.oid, md5(concat_ws('|', x.extname, x.extversion))
      from pg_extension x
    union all
    select 'pg_rewrite', r.oid, md5(r.ev_action::text)
      from pg_rewrite r
     where r.rulename <> '_RETURN'
       and r.ev_class in (select oid from pg_class where relnamespace in (select oid from spaces))
    union all
    select 'pg_statistic_ext', s.oid, md5(concat_ws('|', s.stxname, s.stxstattarget))
      from pg_statistic_ext s
     where s.stxnamespace in (select oid from spaces)
)
select class, oid::bigint, pg_describe_object(class::regclass, oid, 0),
       looks || coalesce((select md5(string_agg(objsubid || description, '|' order by objsubid))
                            from pg_description d
                           where d.objoid = objects.oid
                             and d.classoid = class::regclass), '')
  from objects
 union all
-- Rows of others' tables that this session has written.
select 'rows', c.oid::bigint, 'rows of ' || pg_describe_object('pg_class'::regclass, c.oid, 0),
       (pg_stat_get_xact_tuples_inserted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)
           + pg_stat_get_xact_tuples_deleted(c.oid))::text
  from pg_class c
 where c.relkind = 'r'
   and c.relnamespace in (select oid from spaces)
   and c.relnamespace <> current_schema()::regnamespace
 union all
-- What no file for a port has to do with, as a whole; but what other databases of the server have a part in.
select 'whole', place, what, md5(coalesce(looks, ''))
  from (values
    (1, 'casts', (select string_agg(c::text, ';' order by oid) from pg_cast c)),
    (2, 'operators', (select string_agg(o::text, ';' order by oid) from pg_operator o)),
    (3, 'languages', (select string_agg(l::text, ';' order by oid) from pg_language l)),
    (4, 'default privileges', (select string_agg(a::text, ';' order by oid) from pg_default_acl a)),
    (5, 'event triggers', (select string_agg(e::text, ';' order by oid) from pg_event_trigger e)),
    (6, 'publications', (select string_agg(p::text, ';' order by oid) from pg_publication p)),
    (7, 'tables of publications', (select string_agg(p::text, ';' order by oid) from pg_publication_rel p)),
    (8, 'foreign servers', (select string_agg(f::text, ';' order by oid) from pg_foreign_server f)),
    (9, 'collations', (select string_agg(c::text, ';' order by oid) from pg_collation c)),
    (10, 'text search', (select string_agg(t::text, ';' order by oid) from pg_ts_config t)),
    (11, 'inheritance', (select string_agg(i::text, ';' order by inhrelid, inhparent) from pg_inherits i)),
    (12, 'settings of the database', (
        select string_agg(s::text, ';' order by setrole)
          from pg_db_role_setting s
         where setdatabase = (select oid from pg_database where datname = current_database())
    )),
    (13, 'the database', (
        select concat_ws(';', datname, datdba, datacl, datconnlimit, datallowconn)
          from pg_database
         where datname = current_database()
    )),
    (14, 'tables of the session', (
        select string_agg(relname, ';' order by oid)
          from pg_class
         where relnamespace = pg_my_temp_schema()
    ))
  ) as whole (place, what, looks)
