-- Retention takes visits, and a member must not look less absent for it: the row of the night keeps what the score was
-- made of, and counts while nothing newer is known.

alter table member_churn
    add column first_visit_on date,
    add column last_visit_on date,
    add column visit_days int, -- days with a visit
    add column visits_before int; -- those of the eight weeks that ended 28 days before the last
