-- The newest score of each member, and the one of this day; a day that has one keeps it, unless it is forced.
with judged as (
    select m.id, m.gym_id, j.day, j.score, j.level, j.factors, j.version,
           j.first_on, j.last_on, j.days, j.before
      from jsonb_to_recordset($1)
           as j (id uuid, day date, score real, level text, factors jsonb, version text,
                 first_on date, last_on date, days int, before int)
      join churn_members m on m.id = j.id and m.is_scored
), current as (
    insert into member_churn as c (member_id, gym_id, score, level, factors, model_version,
                                   scored_on, computed_at, first_visit_on,
                                   last_visit_on, visit_days, visits_before)
    select id, gym_id, score, level, factors, version, day, $2,
           first_on, last_on, days, before
      from judged
        on conflict (member_id) do update
       set gym_id = excluded.gym_id,
           score = excluded.score,
           level = excluded.level,
           factors = excluded.factors,
           model_version = excluded.model_version,
           scored_on = excluded.scored_on,
           computed_at = excluded.computed_at,
           first_visit_on = excluded.first_visit_on,
           last_visit_on = excluded.last_visit_on,
           visit_days = excluded.visit_days,
           visits_before = excluded.visits_before
     where c.scored_on <= excluded.scored_on
), history as (
    insert into member_churn_history as h (member_id, scored_on, gym_id, score, level,
                                           model_version, scored_at)
    select id, day, gym_id, score, level, version, $2
      from judged
        on conflict (member_id, scored_on) do update
       set gym_id = excluded.gym_id,
           score = excluded.score,
           level = excluded.level,
           model_version = excluded.model_version,
           scored_at = excluded.scored_at,
           outcome = null,
           has_no_outcome = false
     where $3
)
select id as "id!"
  from judged
