-- A process may die between mailing a report and noting it, and then nobody knows whether it was mailed. So a delivery
-- is noted before it is tried, and for as long as the mail service remembers its idempotency key it may be tried again
-- without being mailed twice. After that it is left alone: a report not mailed is better than one mailed twice.

alter table report_deliveries
    add column message_id text, -- the mail service's
    add column attempts int not null default 0,
    add column attempted_at timestamptz,
    add column unsure_since timestamptz, -- since then it may have been mailed; null = surely mailed, or surely not
    add constraint report_deliveries_attempts_not_negative
        check (attempts >= 0);

-- weekly-reports: the reports that may still have to be mailed are those of the latest weeks.
create index weekly_reports_by_end
    on weekly_reports (period_end);

-- weekly-reports: who came in a week, read from the index alone.
create index visits_of_gym_with_member
    on visits (gym_id, checked_in_at) include (member_id);

drop index visits_of_gym;
alter index visits_of_gym_with_member rename to visits_of_gym;
