-- Everything that is in the database but not Postgres' own: where it stands, how Postgres describes it, and what it looks like.
with spaces as (
    select oid
      from pg_namespace
     where nspname not like 'pg\_%'
       and nspname <> 'information_schema'
), objects as (
    select 'pg_class' as class, c.oid,
           md5(concat_ws('|', c.relname, c.relnamespace, c.relkind, c.relowner, c.relacl, c.reloptions,
                         c.relrowsecurity, c.relforcerowsecurity, c.relpersistence,
                         case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
                         (select string_agg(concat_ws(',', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
                                                      a.attisdropped, a.attacl, a.attgenerated, a.attidentity,
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
    select 'pg_statistic_ext', s.oid, md5(concat_ws('|', s.stxname, s.stxstattarget))
      from pg_statistic_ext s
     where s.stxnamespace in (select oid from spaces)
)
select class, oid::bigint, pg_describe_object(class::regclass, oid, 0), looks
  from objects
