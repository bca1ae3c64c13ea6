-- Sample data: predictions.
-- Those of thirty days ago have their outcome due today; those of the last fortnight are what a report compares with;
-- a few are past their keeping. The absence against the usual gap replaces the model that made them.

insert into member_churn_history (member_id, scored_on, gym_id, score, level, model_version, outcome)
select
    member_id,
    today - ago,
    gym_id,
    score,
    case
        when score is null then 'new'
        when score >= 0.75 then 'critical'
        when score >= 0.5 then 'high'
        when score >= 0.25 then 'medium'
        else 'low'
    end,
    'sample',
    null
from demo.people
cross join (select (now() at time zone 'Europe/Paris')::date as today) as calendar
cross join (select generate_series(1, 16) as ago union all select 30) as aged
cross join lateral (
    select
        max(checked_in_at) as latest,
        count(*) as times
    from visits
    where visits.member_id = people.member_id
        and checked_in_at < today - ago
        and checked_in_at >= today - ago - 112
) as seen
cross join lateral (
    select
        case
            when days_in - ago < 14 and times < 2 then null
            when times = 0 then 0.97
            else 1 - exp(-extract(epoch from (today - ago) - latest) / 86400 / (18 + 112.0 / times))
        end::real as score
) as scored
where sort in ('regular', 'veteran', 'weekly', 'fading', 'gone', 'new')
    and days_in > ago;

insert into member_churn_history (member_id, scored_on, gym_id, score, level, model_version, outcome)
select
    member_id,
    (now() at time zone 'Europe/Paris')::date - ago,
    gym_id,
    0.1 + 0.1 * demo.chance('old score ' || key || ago),
    'low',
    'sample',
    false
from demo.people
cross join generate_series(410, 414) as ago
where sort in ('regular', 'veteran')
    and days_in > ago;
