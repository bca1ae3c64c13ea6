-- Freezes that no night has noted. Where the beginning was not seen, it is the day after what is known last.
with begun as (
    insert into member_freezes as f (member_id, began_on)
    select m.id, least(today.day, greatest(
               (select (max(v.checked_in_at) at time zone g.timezone)::date + 1
                  from visits v
                 where v.member_id = m.id
                   and (v.member_id, v.checked_in_at) <= (m.id, $1)
                   and (v.member_id, v.checked_in_at) > (m.id, $1 - interval '3 years')),
               (select max(h.scored_on)
                  from member_churn_history h
                 where h.member_id = m.id
                   and h.scored_on <= today.day)
           ))
      from members m
      join gyms g on g.id = m.gym_id
     cross join lateral (
           select ($1::timestamptz at time zone g.timezone)::date as day
     ) today
      left join member_freezes known
        on known.member_id = m.id
       and known.ended_on is null
     where (m.status = 'frozen' or m.status = 'active' and m.frozen_until > today.day)
       and not m.churn_opt_out
       and known.member_id is null
       and ($2::uuid is null or m.gym_id = $2)
       and ($4::int = 1 or abs(hashtext(m.id::text)::bigint) % $4::int = $3::int)
     limit $5
        on conflict (member_id, began_on) do update
       set ended_on = null
    returning f.member_id
)
select count(*) as "begun!"
  from begun
