-- For which of the gyms $1 there is something to say of their first night, at $2. That all members are scored is looked for
-- at the end ($3), and stays said.
with at_risk as materialized (
    select c.gym_id,
           count(*) filter (where c.level = 'high') as high,
           count(*) filter (where c.level = 'critical') as critical
      from member_churn c
     where c.gym_id = any($1)
       and c.level in ('high', 'critical')
       and not exists (
               select from alerts a
                where a.member_id = c.member_id
                  and a.kind = 'churn_risk'
               offset 0
           )
     group by c.gym_id
), unscored as materialized (
    select distinct m.gym_id
      from churn_members m
      left join member_churn c on c.member_id = m.id
     cross join lateral (
           select ($2::timestamptz at time zone m.timezone)::date as day
     ) today
     where $3
       and m.gym_id = any($1)
       and m.is_scored
       and m.joined_on <= today.day
       and (m.frozen_until is null or m.frozen_until <= today.day)
       and c.member_id is null
)
select g.id as "id!", g.name as "name!", g.timezone as "timezone!",
       at_risk.high as "high!", at_risk.critical as "critical!",
       coalesce(present.details @> '{"all_scored": true}', false)
       or ($3 and unscored.gym_id is null) as "all_scored!"
  from at_risk
  join gyms g on g.id = at_risk.gym_id
  left join unscored on unscored.gym_id = g.id
  left join alerts present
    on present.dedup_key = 'churn_first_night:' || g.id
   and present.status in ('open', 'acknowledged')
 order by g.id
