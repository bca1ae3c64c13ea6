-- The idempotency key of a mail used to be made of its report's id. A crash of Postgres may undo a report after its mail
-- has left; the report is then made again under another id, and everybody was mailed twice. Now the key is made of the
-- gym, the week, the recipient and the content, and is kept while it is unknown whether the mail was sent.

alter table report_deliveries
    add column mail_key text;

-- What is on its way was begun under the key of before. Few rows are, and each for a day at the most.
update report_deliveries
set mail_key = 'weekly-report/' || report_id || '/'
        || translate(rtrim(encode(sha256(convert_to(recipient, 'UTF8')), 'base64'), '='), '+/', '-_')
where unsure_since is not null
    and sent_at is null;
