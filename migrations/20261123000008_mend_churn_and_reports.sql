-- Mails that were owed when a run stopped were owed by nobody: a delivery had a row only once it was tried. Now it has
-- one from the start, and what is still owed stands in one view, because a run asks it twice: to send and to count. A
-- mail that is refused again and again is given up, so refusals are counted apart from tries. And scores are forgotten
-- with the member: also of one who objects, and of one whose row is deleted, for no foreign key says so.

alter table report_deliveries
    add column refusals int not null default 0 -- of `attempts`, those after which trying again helps little
        constraint report_deliveries_refusals_not_negative
            check (refusals >= 0);

-- weekly-reports: the mails that are still owed, among all that were ever sent.
create index report_deliveries_open
    on report_deliveries (report_id)
    where sent_at is null;

-- Mails that are owed: not sent, not given up, to somebody who still wants them. For how long, the reader decides.
create view open_deliveries as
select
    delivery.report_id,
    delivery.recipient,
    delivery.attempts,
    delivery.refusals,
    delivery.attempted_at,
    delivery.unsure_since,
    recipient.locale,
    report.gym_id,
    report.period_end
from report_deliveries as delivery
join weekly_reports as report on report.id = delivery.report_id
join gyms
    on gyms.id = report.gym_id
    and gyms.status = 'active'
join report_recipients as recipient
    on recipient.gym_id = report.gym_id
    and recipient.email = delivery.recipient
where delivery.sent_at is null
    and delivery.refusals < 5;

-- daily-churn-analysis: scores of the anonymised and of those who object are deleted.
create index members_to_forget
    on members (id)
    where status = 'anonymised' or churn_opt_out;

drop index members_anonymised;

create function forget_scores_of_the_deleted()
returns trigger
language plpgsql
as $$
begin
    delete from member_churn_history
     where member_id in (select id from gone);
    return null;
end $$;

create trigger members_deleted
    after delete on members
    referencing old table as gone
    for each statement
    execute function forget_scores_of_the_deleted();

-- Those who were deleted before; each member of the history is looked up once, however many days it holds.
with recursive scored as (
    (select member_id from member_churn_history order by member_id limit 1)
    union all
    select next.member_id
    from scored
    cross join lateral (
        select history.member_id
        from member_churn_history as history
        where history.member_id > scored.member_id
        order by history.member_id
        limit 1
    ) as next
)
delete from member_churn_history
where member_id in (
    select scored.member_id
    from scored
    left join members on members.id = scored.member_id
    where members.id is null
);
