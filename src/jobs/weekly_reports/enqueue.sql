-- Adds the reports of the last week ($1), of one gym ($2) or of all: one row for each mailbox among the current recipients,
-- however often and in whatever letters the list has it. Earlier weeks gain no recipients: a new subscriber wants no old
-- mail. A mailbox of which a mail stands refused gets no newer one: that mail is the one that is tried again, so that an
-- address that does not work is told of once, and not for every week. After a quarter of a year it gets a new chance.
with refused as materialized (
    select
        old.gym_id,
        mailbox_of(delivery.recipient) as mailbox
    from report_deliveries as delivery
    join weekly_reports as old on old.id = delivery.report_id
    where delivery.sent_at is null
        and delivery.refusals > 0
        and delivery.attempted_at > $1::timestamptz - interval '90 days'
)
insert into report_deliveries (report_id, recipient)
select distinct
    report.id,
    wanted.mailbox
from weekly_reports as report
join gyms
    on gyms.id = report.gym_id
    and gyms.status = 'active'
join report_recipients as recipient on recipient.gym_id = report.gym_id
cross join lateral (select mailbox_of(recipient.email) as mailbox) as wanted
where report.period_end > $1 - interval '7 days 2 hours'
    and report.period_end <= $1
    and ($2::uuid is null or report.gym_id = $2)
    and wanted.mailbox <> ''
    and not exists (
        select
        from report_deliveries as known
        where known.report_id = report.id
            and mailbox_of(known.recipient) = wanted.mailbox
    )
    and (report.gym_id, wanted.mailbox) not in (select gym_id, mailbox from refused where mailbox is not null)
on conflict (report_id, recipient) do nothing
