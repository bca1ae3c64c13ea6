-- Stores new reports, and with $4 those that changed: the old hash of a report that is replaced is kept in the audit
-- trail. A report that did not change is not touched, and one that another run stored meanwhile stays.
with given as (
    select *
    from jsonb_to_recordset($1) as given (
        gym_id uuid, iso_year int, iso_week int, period_start timestamptz, period_end timestamptz, timezone text,
        metrics jsonb, insights jsonb, recommendations jsonb, content_hash text
    )
), old as materialized (
    select
        report.id,
        report.gym_id,
        report.content_hash
    from weekly_reports as report
    join given using (gym_id, iso_year, iso_week)
    order by report.id
    for update of report
), made as (
    insert into weekly_reports
        (gym_id, iso_year, iso_week, period_start, period_end, timezone, schema_version, metrics, insights,
         recommendations, content_hash, generated_at)
    select
        gym_id, iso_year, iso_week, period_start, period_end, timezone, $2, metrics, insights, recommendations,
        content_hash, $3
    from given
    where gym_id not in (select gym_id from old)
    on conflict (gym_id, iso_year, iso_week) do nothing
    returning gym_id
), replaced as (
    update weekly_reports as report
    set
        period_start = given.period_start,
        period_end = given.period_end,
        timezone = given.timezone,
        schema_version = $2,
        metrics = given.metrics,
        insights = given.insights,
        recommendations = given.recommendations,
        content_hash = given.content_hash,
        generated_at = $3
    from old
    join given using (gym_id)
    where report.id = old.id
        and old.content_hash <> given.content_hash
        and $4::boolean
    returning report.id, report.gym_id, given.iso_year, given.iso_week, old.content_hash as old_hash,
        given.content_hash as new_hash
), audited as (
    insert into audit_events (event_type, entity_type, entity_id, run_id, actor, payload, occurred_at)
    select
        'local.report.regenerated',
        'weekly_report',
        id::text,
        $5,
        'system:weekly-reports',
        jsonb_build_object(
            'gym_id', gym_id, 'iso_year', iso_year, 'iso_week', iso_week, 'old_hash', old_hash, 'new_hash', new_hash
        ),
        $3
    from replaced
)
select gym_id as "gym_id!" from made
union all
select gym_id from replaced
