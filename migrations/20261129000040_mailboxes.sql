-- People write the lists of recipients: the same mailbox stands there in other letters, with a space behind it, or as
-- `Ada <ada@gym.test>`. Each spelling was mailed, and the one with the space refused for ever. So there is one function
-- that says which mailbox an address is, and one mail for each mailbox. Deliveries that are there stay as they are
-- written, sent or not; they are compared by the same function. No list of recipients is made unique, because it is the
-- customer's. What the function answers depends on no collation: ASCII letters, and the capitals that French and its
-- neighbours write, become small ones by name.

create function mailbox_of(address text)
returns text
language sql
immutable
parallel safe
as $$
select lower(
    case
        -- ASCII alone, as nearly every address: what comes next takes five times as long.
        when octet_length(address) = length(address)
        then btrim(regexp_replace(address collate "C", '^[^<]*<([^<>]*)>[^<>]*$', '\1'), E'\t\n\u000b\f\r ')
        else translate(
            -- Spaces of every kind, at the ends only: what a space inside was meant to be is unknown.
            btrim(
                regexp_replace(
                    -- Characters that are not seen were not meant.
                    translate(
                        address,
                        E'\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062'
                        '\u2063\u2064\u2066\u2067\u2068\u2069\ufeff',
                        ''
                    ) collate "C",
                    '^[^<]*<([^<>]*)>[^<>]*$',
                    '\1'
                ),
                E'\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009'
                '\u200a\u2028\u2029\u202f\u205f\u3000'
            ),
            'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞŒŠŸŽ',
            'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþœšÿž'
        )
    end collate "C"
)
$$;

-- Mails that are owed: not sent, not given up, to a recipient who still wants them; of several spellings of one mailbox
-- the one that may have been sent, or the first. For how long, the reader decides.
create or replace view open_deliveries as
select
    delivery.report_id,
    delivery.recipient,
    delivery.attempts,
    delivery.refusals,
    delivery.attempted_at,
    delivery.unsure_since,
    recipient.locale,
    report.gym_id,
    report.period_end,
    mailbox_of(delivery.recipient) as mailbox
from report_deliveries as delivery
join weekly_reports as report on report.id = delivery.report_id
join gyms
    on gyms.id = report.gym_id
    and gyms.status = 'active'
-- Looked up for each: how many mails are open is not known beforehand, not to statistics either.
cross join lateral (
    select listed.locale
    from report_recipients as listed
    where listed.gym_id = report.gym_id
        and mailbox_of(listed.email) = mailbox_of(delivery.recipient)
    -- As plainly written as possible; then always the same one.
    order by
        listed.email <> mailbox_of(listed.email),
        listed.email collate "C",
        listed.locale collate "C"
    limit 1
) as recipient
where delivery.sent_at is null
    and delivery.refusals < 5
    and not exists (
        select
        from report_deliveries as other
        where other.report_id = delivery.report_id
            and other.recipient <> delivery.recipient
            and mailbox_of(other.recipient) = mailbox_of(delivery.recipient)
            and (
                other.sent_at is not null
                or other.refusals < 5
                and (other.unsure_since is null, other.recipient collate "C")
                    < (delivery.unsure_since is null, delivery.recipient collate "C")
            )
    );
