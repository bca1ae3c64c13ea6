-- Which of the rights $2 to the tables $1, and to the functions $3, the role of this session lacks.
select current_setting('transaction_read_only') = 'on' as "is_read_only!",
       array(
           select 'usage on schema ' || nspname
             from pg_namespace
            where nspname = btrim(split_part(current_setting('search_path'), ',', 1), '"')
              and not has_schema_privilege(oid, 'usage')
       ) || array(
           select string_agg(needed, ', ') || ' on ' || name
             from unnest($1::text[], $2::text[]) as ours(name, rights)
            cross join unnest(string_to_array(rights, ' ')) as needed
            where not has_table_privilege(to_regclass(name), needed)
            group by name
            order by name
       ) || array(
           select string_agg(needed, ', ') || ' on every row of ' || name
             from unnest($1::text[], $2::text[]) as ours(name, rights)
            cross join unnest(string_to_array(rights, ' ')) as needed
            cross join lateral (
                select coalesce(bool_or(polpermissive and is_open), false)
                       and bool_and(polpermissive or is_open) as is_whole
                  from pg_policy
                 cross join lateral (
                     select pg_get_expr(
                                case needed
                                    when 'insert' then coalesce(polwithcheck, polqual)
                                    else polqual
                                end,
                                polrelid
                            ) is not distinct from 'true' as is_open
                 ) as policy
                 where polrelid = to_regclass(name)
                   and polcmd in ('*', case needed
                                           when 'select' then 'r'
                                           when 'insert' then 'a'
                                           when 'update' then 'w'
                                           else 'd'
                                       end)
                   and exists (
                       select from unnest(polroles) as role
                        where role = 0
                           or pg_has_role(role, 'usage')
                   )
            ) as rows
            where row_security_active(to_regclass(name))
              and is_whole is not true
            group by name
            order by name
       ) || array(
           select distinct 'execute on function ' || proname
             from pg_proc
            where pronamespace = current_schema()::regnamespace
              and proname = any ($3)
              and prorettype <> 'trigger'::regtype
              and not has_function_privilege(oid, 'execute')
            order by 1
       ) as "rights_missing!"
