-- How well the predictions of each gym's newest evaluated day turned out; noted by gym, and answered for the fifty gyms
-- with the most predictions and, without a gym, for all together.
with due as materialized (
    select
        g.id as gym_id,
        newest.scored_on
    from gyms as g
    cross join lateral (
        select day.scored_on
        from generate_series(0, 6) as late
        cross join lateral (
            select ($1::timestamptz at time zone g.timezone)::date - 30 - late as scored_on
        ) as day
        where exists (
            select
            from member_churn_history as h
            where h.scored_on = day.scored_on
                and h.gym_id = g.id
                and h.outcome is not null
        )
        order by day.scored_on desc
        limit 1
    ) as newest
    where $2::uuid is null
        or g.id = $2
),
-- Gym by gym, by index: what the planner believes of a day this recent is most often wrong.
binned as (
    select
        due.gym_id,
        due.scored_on,
        of_gym.*
    from due
    cross join lateral (
        select
            least(floor(h.score * 1000), 999) as bin,
            count(*) filter (where h.outcome) as lost,
            count(*) filter (where not h.outcome) as kept,
            sum(h.score::double precision) as score,
            sum((h.score - h.outcome::int) ^ 2) as error
        from member_churn_history as h
        where h.scored_on = due.scored_on
            and h.gym_id = due.gym_id
            and h.outcome is not null
            and h.score is not null
        group by bin
    ) as of_gym
),
summed as (
    select
        gym_id,
        max(scored_on) as scored_on,
        bin,
        sum(lost) as lost,
        sum(kept) as kept,
        sum(score) as score,
        sum(error) as error
    from binned
    group by grouping sets ((gym_id, bin), (bin))
),
ranked as (
    select
        *,
        sum(kept) over (partition by gym_id order by bin) - kept as kept_below
    from summed
),
measured as (
    select
        gym_id,
        max(scored_on) as scored_on,
        sum(lost + kept) as predictions,
        sum(lost) / sum(lost + kept) as base_rate,
        sum(score) / sum(lost + kept)::double precision as mean_score,
        sum(lost * (kept_below + kept / 2.0)) / nullif(sum(lost) * sum(kept), 0) as auc,
        sum(error) / sum(lost + kept)::double precision as brier
    from ranked
    group by gym_id
),
noted as (
    insert into churn_accuracy as a
        (gym_id, scored_on, predictions, base_rate, mean_score, auc, brier, measured_at)
    select
        gym_id, scored_on, predictions, base_rate, mean_score, auc, brier, $1
    from measured
    where gym_id is not null
    order by gym_id
    on conflict (gym_id, scored_on) do update
    set
        predictions = excluded.predictions,
        base_rate = excluded.base_rate,
        mean_score = excluded.mean_score,
        auc = excluded.auc,
        brier = excluded.brier,
        measured_at = excluded.measured_at
    where (a.predictions, a.base_rate, a.auc)
        is distinct from (excluded.predictions, excluded.base_rate, excluded.auc)
)
select
    gym_id as "gym_id?",
    scored_on,
    predictions::bigint as "predictions!",
    base_rate::double precision as "base_rate!",
    mean_score as "mean_score!",
    auc::double precision as auc,
    brier as "brier!"
from measured
order by gym_id is null desc, predictions desc, gym_id
limit 51
