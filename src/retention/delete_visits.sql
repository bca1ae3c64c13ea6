with spanned as materialized (
    select v.id, v.member_id, v.checked_in_at
      from visits v
     where v.checked_in_at < $1
       and (v.checked_in_at, v.id) > ($2::text::timestamptz, $3::text::bigint)
       and (v.checked_in_at, v.id) <= ($4::text::timestamptz, $5::text::bigint)
       and not ($6::boolean and exists (
               select from legal_holds h
                where h.subject_id in (
                      v.gym_id, v.member_id,
                      (select m.gym_id from members m where m.id = v.member_id))
                  and coalesce(h.until, 'infinity') > $7
           ))
       and (not $8::boolean or v.id in (
               select l.id
                 from visits l
                where (l.checked_in_at, l.id) > ($2::text::timestamptz, $3::text::bigint)
                  and (l.checked_in_at, l.id) <= ($4::text::timestamptz, $5::text::bigint)
                  for update skip locked
           ))
), latest as (
    select member_id, max(checked_in_at) as at
      from spanned
     group by member_id
), farewells as materialized (
    -- The last visits of their members: when these were last heard of must not be lost with them.
    select m.id, latest.at
      from latest
      join members m
        on m.id = latest.member_id
     where m.status <> 'anonymised'
       and isfinite(latest.at)
       and (m.last_contact_at is null or m.last_contact_at < latest.at)
       and not exists (
           select from visits later
            where later.member_id = latest.member_id
              and later.checked_in_at > latest.at
       )
), free as materialized (
    select m.id
      from members m
     where $8::boolean
       and m.id in (select id from farewells)
       for no key update skip locked
), told as (
    update members m
       set last_contact_at = farewells.at
      from farewells
     where m.id = farewells.id
       and (not $8::boolean or m.id in (select id from free))
       and m.status <> 'anonymised'
       and (m.last_contact_at is null or m.last_contact_at < farewells.at)
)
delete from visits v
 using spanned
 where v.id = spanned.id
   and v.checked_in_at < $1
   -- A member who cannot be told now is told by a later run, from the same visits.
   and not ($8::boolean
            and v.member_id in (select id from farewells)
            and v.member_id not in (select id from free))
