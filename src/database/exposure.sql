-- What each other role may do with our tables: rights of PUBLIC are told once, of PUBLIC.
select role as "role!",
       relname::text as "table!",
       reads as "reads!",
       writes as "writes!"
  from pg_class c
 cross join (
     select 'PUBLIC' as role, 0::oid as id
     union all
     select quote_ident(r.rolname), r.oid
       from pg_roles r
      where not r.rolsuper
        and r.rolname <> current_user
        and r.rolname !~ '^pg_'
        and not exists (
            select from pg_roles writers
             where writers.rolname = 'pg_write_all_data'
               and pg_has_role(r.oid, writers.oid, 'member')
        )
 ) as others
 cross join lateral (
     select bool_or(id = grantee and may_read) and not bool_or(id <> grantee and may_read) as reads,
            bool_or(id = grantee and may_write) and not bool_or(id <> grantee and may_write) as writes
       from unnest(array[id, 0::oid]) as grantee
      cross join lateral (
          select has_any_column_privilege(grantee, c.oid, 'select') as may_read,
                 has_any_column_privilege(grantee, c.oid, 'insert, update, references')
                     or has_table_privilege(grantee, c.oid, 'delete, truncate, trigger') as may_write
      ) as may
      where has_schema_privilege(grantee, c.relnamespace, 'usage')
        and (
            not c.relrowsecurity
            or exists (
                select from pg_policy p
                 where p.polrelid = c.oid
                   and p.polpermissive
                   and pg_get_expr(coalesce(p.polqual, p.polwithcheck), c.oid) = 'true'
                   and exists (
                       select from unnest(p.polroles) as role
                        where role = 0
                           or grantee <> 0 and pg_has_role(grantee, role, 'usage')
                   )
            )
        )
 ) as can
 where c.relnamespace = current_schema()::regnamespace
   and c.relname = any ($1)
   and c.relkind in ('r', 'p', 'v')
   -- Most may do nothing, and are passed at once.
   and (
       has_any_column_privilege(id, c.oid, 'select, insert, update, references')
       or has_table_privilege(id, c.oid, 'delete, truncate, trigger')
   )
   and (id = 0 or not pg_has_role(id, c.relowner, 'member'))
   and (reads or writes)
 order by role, relname
