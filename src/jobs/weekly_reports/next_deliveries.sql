-- Marks the next deliveries as begun. Those with the fewest attempts come first, so that a mail that is refused every
-- time delays no other. A mail is tried once per run, and again within an hour only when it was not refused; a try dated
-- in the future was made before the clock was set back, and keeps no mail waiting. Skipped are deliveries that have been
-- unsure for longer than the mail service remembers the key ($2), reports that are too old to be mailed ($3), and rows
-- that another transaction holds.
with next as (
    select
        delivery.report_id,
        delivery.recipient,
        open.locale,
        open.mailbox,
        concat_ws(
            '/',
            'weekly-report',
            report.gym_id,
            report.iso_year || '-W' || lpad(report.iso_week::text, 2, '0'),
            encode(sha256(convert_to(delivery.recipient, 'UTF8')), 'hex'),
            report.content_hash
        ) as mail_key,
        delivery.unsure_since is not null as was_unsure
    from open_deliveries as open
    join report_deliveries as delivery
        on delivery.report_id = open.report_id
        and delivery.recipient = open.recipient
    join weekly_reports as report on report.id = open.report_id
    where open.period_end > $3
        and open.period_end <= $1
        and (open.unsure_since is null or open.unsure_since > $2)
        and ($4::uuid is null or open.gym_id = $4)
        and coalesce(
            open.attempted_at not between
                $1::timestamptz - case when open.refusals > 0 then interval '1 hour' else '0' end and $1,
            true
        )
    order by open.attempts, open.report_id, open.recipient collate "C"
    limit $5
    for update of delivery skip locked
)
update report_deliveries as delivery
set
    attempts = delivery.attempts + 1,
    attempted_at = $1,
    -- A mail that may have been sent keeps its key, whatever the report says by now.
    mail_key = case
        when next.was_unsure then coalesce(delivery.mail_key, next.mail_key)
        else next.mail_key
    end,
    unsure_since = least(delivery.unsure_since, $1)
from next
where delivery.report_id = next.report_id
    and delivery.recipient = next.recipient
    and delivery.sent_at is null
returning
    delivery.report_id as "report_id!",
    delivery.recipient as "recipient!",
    next.mailbox as "mailbox!",
    next.locale as "locale!",
    delivery.mail_key as "mail_key!",
    next.was_unsure as "was_unsure!"
