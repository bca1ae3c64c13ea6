-- A prediction whose thirty days lie in a freeze, or in a silence of the gym's readers, has no fair outcome: it is left out
-- of accuracy, and is not asked for again.

alter table member_churn_history
    add column has_no_outcome boolean not null default false;
