-- Sample data: logs and runs.

insert into system_logs ("timestamp", log_type, level, message, details)
select
    now() - interval '4 hours' - interval '300 days' * i / (500.0 * current_setting('demo.scale')::int),
    case when i % 5 < 2 then 'health' else job.log_type end,
    'info',
    case when i % 5 < 2 then 'microphone check' else 'succeeded' end,
    case when i % 5 < 2 then jsonb_build_object('score', 60 + i % 40) else '{}' end
from generate_series(1, 500 * current_setting('demo.scale')::int) as i
cross join lateral (
    select (array['cron_daily_churn', 'cron_kiosk_health', 'cron_cleanup'])[1 + i % 3] as log_type
) as job;

insert into job_runs
    (id, job, trigger, message_id, schedule_id, status, epoch, started_at, finished_at, results)
select
    demo.id('run ' || i),
    (array['daily-churn-analysis', 'health-check-kiosks', 'cleanup-old-data'])[1 + i % 3],
    'qstash',
    'msg_demo_' || lpad(i::text, 6, '0'),
    (array['jarvis-daily-churn', 'jarvis-health-check-kiosks', 'jarvis-cleanup-data'])[1 + i % 3],
    'succeeded',
    1,
    started_at,
    started_at + interval '4 seconds',
    '{}'
from generate_series(1, 60 * current_setting('demo.scale')::int) as i
cross join lateral (
    select now() - interval '366 days' - interval '8 hours' * (i::double precision / current_setting('demo.scale')::int)
        as started_at
) as aged;
