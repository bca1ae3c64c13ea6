-- Of predictions whose thirty days are over, whether the member came; those about members who are gone are deleted, and
-- those that overlap a pause have no fair outcome.
with due as (
    select h.member_id, h.scored_on, m.id is not null as is_known,
           coalesce(h.scored_at, h.scored_on::timestamp at time zone g.timezone) as since,
           (h.scored_on + 30)::timestamp at time zone g.timezone as until,
           g.timezone
      from member_churn_history h
      join gyms g on g.id = h.gym_id
      left join members m on m.id = h.member_id and m.status <> 'anonymised'
     where h.outcome is null
       and h.score is not null
       and not h.has_no_outcome
       and h.scored_on <= ($1::timestamptz at time zone 'UTC')::date - 29
       and h.scored_on <= ($1 at time zone g.timezone)::date - 30
       and ($2::uuid is null or h.gym_id = $2)
       and ($4::int = 1 or abs(hashtext(h.member_id::text)::bigint) % $4::int = $3::int)
     order by h.scored_on
     limit $5
       for update of h skip locked
), judged as materialized (
    select due.*,
           coalesce(pauses.days && daterange(due.scored_on + 1, due.scored_on + 30), false)
               as is_unfair
      from due
      left join lateral pauses_of(
               due.member_id, due.timezone,
               ($1::timestamptz at time zone due.timezone)::date
           ) pauses on true
), deleted as (
    delete from member_churn_history h
     using due
     where h.member_id = due.member_id
       and h.scored_on = due.scored_on
       and not due.is_known
), filled as (
    update member_churn_history h
       set has_no_outcome = due.is_unfair,
           outcome = case when not due.is_unfair then not exists (
               select from visits v
                where v.member_id = due.member_id
                  and (v.member_id, v.checked_in_at) > (due.member_id, due.since)
                  and (v.member_id, v.checked_in_at) < (due.member_id, due.until)
                  and is_visit(v.checked_in_at, (
                          select max(before.checked_in_at)
                            from visits before
                           where before.member_id = v.member_id
                             and before.checked_in_at < v.checked_in_at
                      ))
           ) end
      from judged due
     where h.member_id = due.member_id
       and h.scored_on = due.scored_on
       and due.is_known
)
select count(*) as "due!"
  from due
