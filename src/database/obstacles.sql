-- What stands against migrating, as the database has it.
with here as (
    select to_regnamespace($1)::oid as schema,
           oid as role
      from pg_roles
     where rolname = current_user
)
select quote_ident(current_user) as "role!",
       quote_ident(current_database()) as "database!",
       pg_encoding_to_char((select encoding from pg_database where datname = current_database())) as "encoding!",
       schema is not null as "is_there!",
       coalesce(
           has_schema_privilege(schema, 'usage') and has_schema_privilege(schema, 'create'),
           has_database_privilege(current_database(), 'create')
       ) as "may_create!",
       exists (
           select from pg_class
            where relnamespace = schema
              and relname = '_sqlx_migrations'
              and not (
                  has_schema_privilege(schema, 'usage')
                  and has_table_privilege(oid, 'select')
                  and has_table_privilege(oid, 'insert')
                  and has_table_privilege(oid, 'update')
              )
       ) as "record_is_unreadable!",
       exists (
           select from pg_class c
            where c.relnamespace = schema
              and c.relname = '_sqlx_migrations'
              and (
                  c.relkind not in ('r', 'p')
                  or exists (
                      select 'version', 'int8'::regtype
                      union all select 'description', 'text'
                      union all select 'installed_on', 'timestamptz'
                      union all select 'success', 'bool'
                      union all select 'checksum', 'bytea'
                      union all select 'execution_time', 'int8'
                      except
                      select attname, atttypid
                        from pg_attribute
                       where attrelid = c.oid
                  )
              )
           union all
           select from pg_type
            where typnamespace = schema
              and typname = '_sqlx_migrations'
              and typrelid = 0
       ) as "record_is_other!",
       array(
           select kind || ' ' || name
             from (
                 select case c.relkind
                            when 'v' then 'view'
                            when 'm' then 'materialized view'
                            when 'S' then 'sequence'
                            when 'i' then 'index'
                            when 'I' then 'index'
                            when 'f' then 'foreign table'
                            when 'c' then 'type'
                            else 'table'
                        end as kind,
                        c.relname as name
                   from pg_class c
                   left join pg_index i on i.indexrelid = c.oid
                   left join pg_class t on t.oid = i.indrelid
                  where c.relnamespace = schema
                    and (
                        c.relname = any ($2)
                        -- One of ours may have been left by a try that broke off.
                        or c.relname = any ($3) and coalesce(t.relname <> all ($5), true)
                    )
                 union all
                 select 'type', typname
                   from pg_type
                  where typnamespace = schema
                    and typname = any ($2)
                    and typrelid = 0
                 union all
                 select distinct 'function', proname
                   from pg_proc
                  where pronamespace = schema
                    and proname = any ($4)
             ) as taken (kind, name)
            order by 1
       ) as "taken!",
       array(
           select relname || ' (of ' || quote_ident(pg_get_userbyid(relowner)) || ')'
             from pg_class
            where relnamespace = schema
              and relname = any ($5)
              and (relkind in ('r', 'p') or relkind = 'v' and relname <> all ($7))
              and not pg_has_role(relowner, 'usage')
            union all
           select proname || ' (of ' || quote_ident(pg_get_userbyid(proowner)) || ')'
             from pg_proc
            where pronamespace = schema
              and proname = any ($8)
              and not pg_has_role(proowner, 'usage')
            order by 1
       ) as "not_owned!",
       array(
           select n.nspname::text
             from pg_namespace n
             left join lateral (
                 select min(path.position) as position
                   from pg_settings s
                  cross join unnest(string_to_array(s.reset_val, ',')) with ordinality as path (name, position)
                  where s.name = 'search_path'
                    and n.nspname = replace(btrim(path.name, ' "'), '$user', session_user)
             ) as path on true
            where (path.position is not null or not $9)
              and n.oid is distinct from schema
              and not exists (
                  select from pg_class
                   where relnamespace = schema
                     and relname = 'job_leases'
              )
              and 2 = (
                  select count(*) from pg_class
                   where relnamespace = n.oid
                     and relname in ('_sqlx_migrations', 'job_leases')
              )
            order by path.position, 1
       ) as "elsewhere!",
       array(
           select distinct coalesce(quote_ident(r.rolname), 'PUBLIC')
             from pg_default_acl d
            cross join aclexplode(d.defaclacl) a
             left join pg_roles r on r.oid = a.grantee
            where d.defaclrole = role
              and d.defaclnamespace in (0, schema)
              and d.defaclobjtype in ('r', 'S')
              and a.grantee <> d.defaclrole
              and r.rolsuper is not true
              -- A pooler's user may have a tenant behind it; a role may have a dot of its own.
              and r.rolname is distinct from $6
              and (r.rolname is distinct from split_part($6, '.', 1)
                   or exists (select from pg_roles where rolname = $6))
            order by 1
       ) as "opened_to!"
  from here
