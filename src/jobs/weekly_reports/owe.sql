-- Who is owed a report of the last week, on record before any mail leaves: whoever wants its gym's reports now. Of the
-- weeks before nobody is added: who subscribes today wants no old mail.
insert into report_deliveries (report_id, recipient)
select
    report.id,
    recipient.email
from weekly_reports as report
join gyms
    on gyms.id = report.gym_id
    and gyms.status = 'active'
join report_recipients as recipient on recipient.gym_id = report.gym_id
where report.period_end > $1::timestamptz - interval '7 days 2 hours'
    and report.period_end <= $1
    and ($2::uuid is null or report.gym_id = $2)
on conflict (report_id, recipient) do nothing
