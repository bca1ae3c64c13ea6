-- Deliveries that are due, noted as begun. A report of the last week goes to everybody who was not mailed it, one of
-- the week before only where it failed: who subscribes today wants no old mail. What has been unsure for longer than
-- the mail service remembers ($2) is left alone.
with due as (
    select
        report.id as report_id,
        recipient.email as recipient,
        recipient.locale,
        delivery.unsure_since is not null as was_unsure
    from weekly_reports as report
    join gyms
        on gyms.id = report.gym_id
        and gyms.status = 'active'
    join report_recipients as recipient on recipient.gym_id = report.gym_id
    left join report_deliveries as delivery
        on delivery.report_id = report.id
        and delivery.recipient = recipient.email
    where report.period_end > $1::timestamptz - interval '15 days'
        and report.period_end <= $1
        and (delivery.report_id is not null or report.period_end > $1 - interval '7 days 2 hours')
        and delivery.sent_at is null
        and (delivery.unsure_since is null or delivery.unsure_since > $2)
        and ($3::uuid is null or report.gym_id = $3)
        and ($4::uuid is null or (report.id, recipient.email) > ($4, $5::text))
    order by report.id, recipient.email
    limit $6
), begun as (
    insert into report_deliveries as delivery (report_id, recipient, attempts, attempted_at, unsure_since)
    select report_id, recipient, 1, $1, $1
    from due
    on conflict (report_id, recipient) do update
    set attempts = delivery.attempts + 1,
        attempted_at = $1,
        unsure_since = coalesce(delivery.unsure_since, $1)
    where delivery.sent_at is null
    returning report_id, recipient
)
select
    report_id as "report_id!",
    recipient as "recipient!",
    locale as "locale!",
    was_unsure as "was_unsure!"
from due
join begun using (report_id, recipient)
order by report_id, recipient
