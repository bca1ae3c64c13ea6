-- The next mails that are due, noted as begun; those that were tried least often come first, so that one which is
-- refused every time keeps nobody waiting. What this run has tried it does not try again, and what was refused not
-- within an hour. What has been unsure for longer than the mail service remembers ($2) is left alone, and so is what
-- is older than anybody wants it ($3). A row that somebody holds is passed.
with due as (
    select
        delivery.report_id,
        delivery.recipient,
        owed.locale,
        delivery.unsure_since is not null as was_unsure
    from open_deliveries as owed
    join report_deliveries as delivery
        on delivery.report_id = owed.report_id
        and delivery.recipient = owed.recipient
    where owed.period_end > $3
        and owed.period_end <= $1
        and (owed.unsure_since is null or owed.unsure_since > $2)
        and ($4::uuid is null or owed.gym_id = $4)
        and coalesce(
            owed.attempted_at < $1::timestamptz - case when owed.refusals > 0 then interval '1 hour' else '0' end,
            true
        )
    order by owed.attempts, owed.report_id, owed.recipient
    limit $5
    for update of delivery skip locked
)
update report_deliveries as delivery
set
    attempts = delivery.attempts + 1,
    attempted_at = $1,
    unsure_since = coalesce(delivery.unsure_since, $1)
from due
where delivery.report_id = due.report_id
    and delivery.recipient = due.recipient
    and delivery.sent_at is null
returning
    delivery.report_id as "report_id!",
    delivery.recipient as "recipient!",
    due.locale as "locale!",
    due.was_unsure as "was_unsure!"
