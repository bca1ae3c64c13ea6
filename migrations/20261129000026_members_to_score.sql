-- The night reads of each member what else is known: the last contact, where visits are no longer kept. New columns of a
-- view come last.

create or replace view churn_members as
select
    m.id,
    m.gym_id,
    g.timezone,
    m.frozen_until,
    case when isfinite(m.joined_on) then m.joined_on end as joined_on,
    case when isfinite(m.membership_ends_on) then m.membership_ends_on end as membership_ends_on,
    m.status = 'active'
    and not m.churn_opt_out
    and m.anonymised_at is null
    and g.status <> 'cancelled' as is_scored,
    m.last_contact_at
from members as m
join gyms as g on g.id = m.gym_id;
