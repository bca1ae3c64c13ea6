-- A score is a probability, so it can be measured: when a prediction was made says which visits it could not have seen,
-- each gym's hits are kept by day, and a gym whose own history fits better gets a model of its own. Who is scored stands
-- in one view, because the night's run asks it five times: to pick, to write, to forget, to resolve and to count.

alter table member_churn_history
    add column scored_at timestamptz; -- null in older rows: then the begin of the day counts

-- Members, and whether they are scored. Whether somebody is frozen depends on the day, so the reader compares
-- `frozen_until` too. A date that is no date ('infinity') is unknown.
create view churn_members as
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
    and g.status <> 'cancelled' as is_scored
from members as m
join gyms as g on g.id = m.gym_id;

-- Fitted by `churn fit`; the newest of a gym is used while its `base` is the default that the service knows.
create table churn_models (
    gym_id uuid not null references gyms,
    version int not null,
    base text not null,
    intercept double precision not null,
    usual_gap double precision not null,
    absence double precision not null,
    trend double precision not null,
    tenure double precision not null,
    contract_end double precision not null,
    negative_conversations double precision not null,
    trained_on int not null, -- rows of earlier months
    tested_on int not null, -- rows of the month held out
    auc double precision not null,
    brier double precision not null,
    default_auc double precision not null,
    default_brier double precision not null,
    fitted_at timestamptz not null,
    primary key (gym_id, version),
    constraint churn_models_version_positive
        check (version > 0),
    constraint churn_models_numbers -- neither NaN nor infinite
        check (
            abs(intercept) < 1000
            and abs(usual_gap) < 1000
            and abs(tenure) < 1000
            and abs(contract_end) < 1000
            and abs(negative_conversations) < 1000
        ),
    constraint churn_models_rise_with_absence
        check (absence between 0 and 1000 and trend between -1000 and 0),
    constraint churn_models_beat_the_default
        check (auc > 0.5 and auc > default_auc and brier < default_brier)
);

-- How well the predictions of one day turned out in a gym.
create table churn_accuracy (
    gym_id uuid not null references gyms,
    scored_on date not null,
    predictions int not null,
    base_rate double precision not null, -- share of those who did not come
    mean_score double precision not null,
    auc double precision, -- null when all came or none did
    brier double precision not null,
    measured_at timestamptz not null,
    primary key (gym_id, scored_on)
);

-- daily-churn-analysis: scores of the anonymised are deleted.
create index members_anonymised
    on members (id)
    where status = 'anonymised';

-- daily-churn-analysis: the negative share, now from the index alone.
drop index conversation_sessions_of_member;

create index conversation_sessions_of_member
    on conversation_sessions (member_id, started_at)
    include (sentiment)
    where member_id is not null;
