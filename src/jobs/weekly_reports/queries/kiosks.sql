-- When each gym is open, and last week's uptime, where last week's report has it: it stays as it was told, and that halves the
-- time.
select
    week.gym_id as "gym_id!",
    gyms.opening_hours::text as opening_hours,
    gyms.timezone,
    (report.metrics #>> '{kiosk_uptime,value}')::double precision as last_share
from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::date[])
   as week (gym_id, timezone, last_starts, starts, ends, monday)
join gyms on gyms.id = week.gym_id
left join weekly_reports as report
    on report.gym_id = week.gym_id
    and report.period_start = week.last_starts
    and report.period_end = week.starts
    and jsonb_typeof(report.metrics #> '{kiosk_uptime,value}') = 'number'
