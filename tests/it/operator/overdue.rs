//! A silent scheduler: what counts as its call, and who hears of its silence.

use chrono::{DateTime, Utc};
use jarvis_cron::jobs;
use jarvis_cron::qstash::schedules::Schedules;

use super::*;

const HEALTH: &str = "/health/schedules";
const LONG_AGO: &str = "update _sqlx_migrations set installed_on = now() - interval '40 days'";

/// A service that has been up for weeks.
async fn old() -> App {
    let app = App::new().await;
    app.execute(LONG_AGO).await;
    app
}

/// What every caller reads, without a secret.
async fn health(app: &App) -> Reply {
    app.call(Method::GET, HEALTH, &[], "").await
}

fn of<'b>(body: &'b Value, job: &str) -> &'b Value {
    let jobs = body["jobs"].as_array().unwrap();
    jobs.iter().find(|of| of["job"] == job).unwrap()
}

#[tokio::test]
async fn a_service_that_was_just_set_up_waits_for_its_first_ticks() {
    let app = App::new().await;
    let reply = health(&app).await;
    assert_eq!(reply.outcome(), (200, "on_time"));
    assert_eq!(
        reply.body["jobs"].as_array().unwrap().len(),
        jobs::ALL.iter().count()
    );
    let job = of(&reply.body, "weekly-reports");
    assert_eq!(job["overdue_seconds"], 0);
    assert_eq!(job["last_delivery"], Value::Null);
}

#[tokio::test]
async fn a_scheduler_that_never_called_is_told_of_job_by_job() {
    let app = old().await;
    let before = crate::app::now();
    let reply = health(&app).await;
    assert_eq!(reply.outcome(), (503, "overdue"));
    let deployed = Schedules::deployed();
    for schedule in &deployed.schedules {
        let job = of(&reply.body, &schedule.job);
        assert_eq!(job["state"], "overdue");
        let days = job["overdue_seconds"].as_i64().unwrap() / 86_400;
        assert!((20..=40).contains(&days), "{job}");
        let expected: DateTime<Utc> = job["last_expected_tick"].as_str().unwrap().parse().unwrap();
        // A tick may fall between the two readings.
        let known = [before, crate::app::now()].map(|now| deployed.last_tick(schedule, now));
        assert!(known.contains(&Some(expected)), "{job}");
    }

    app.deliver(JOB).await;

    let reply = health(&app).await;
    assert_eq!(reply.outcome(), (503, "overdue"));
    assert_eq!(of(&reply.body, JOB)["state"], "on_time");
    assert_eq!(of(&reply.body, JOB)["overdue_seconds"], 0);
    assert_eq!(of(&reply.body, "weekly-reports")["state"], "overdue");
    let status = read(&app, "/api/jobs").await.body;
    assert_eq!(of(&status, JOB)["overdue"], false);
    assert_eq!(of(&status, "weekly-reports")["overdue"], true);
    assert_eq!(
        of(&status, JOB)["last_delivery"],
        of(&reply.body, JOB)["last_delivery"]
    );
}

#[tokio::test]
async fn once_every_job_was_called_all_is_well() {
    let app = old().await;
    for job in jobs::ALL.iter() {
        app.deliver(job.name).await;
    }
    assert_eq!(health(&app).await.outcome(), (200, "on_time"));
}

#[rstest]
#[case::succeeded("'qstash', 'succeeded', false, '{}'", true)]
#[case::failed("'qstash', 'failed', false, '{}'", true)]
#[case::skipped("'qstash', 'skipped', false, '{}'", true)]
#[case::abandoned("'qstash', 'abandoned', false, '{}'", true)]
#[case::with_options("'qstash', 'succeeded', false, '{\"limit\": 5}'", true)]
#[case::an_operators("'operator', 'succeeded', false, '{}'", false)]
#[case::at_the_command_line("'cli', 'succeeded', false, '{}'", false)]
#[case::a_rehearsal("'qstash', 'succeeded', true, '{\"dry_run\": true}'", false)]
#[case::a_continuation(
    "'qstash', 'succeeded', false, '{\"continuation_of\": \"01900000-0000-7000-8000-000000000001\"}'",
    false
)]
#[case::a_shard(
    "'qstash', 'succeeded', false, '{\"shard\": {\"index\": 1, \"count\": 2}}'",
    false
)]
#[tokio::test]
async fn only_what_a_schedule_asked_for_counts_as_its_call(
    #[case] run: &str,
    #[case] counts: bool,
) {
    let app = old().await;
    app.execute(&format!(
        "insert into job_runs (id, job, trigger, status, dry_run, options)
         select gen_random_uuid(), '{JOB}', trigger, status, dry_run, options::jsonb
           from (values ({run})) as v (trigger, status, dry_run, options)"
    ))
    .await;
    let body = health(&app).await.body;
    let expected = if counts { "on_time" } else { "overdue" };
    assert_eq!(of(&body, JOB)["state"], expected, "{body}");
    assert_eq!(of(&body, JOB)["last_delivery"].is_string(), counts);
}

#[tokio::test]
async fn an_operators_run_and_a_skipped_call_are_told_apart() {
    let app = old().await;
    app.operate(JOB, "").await;
    app.operate(JOB, "dry_run=true").await;
    assert_eq!(of(&health(&app).await.body, JOB)["state"], "overdue");
    app.execute(&format!(
        "update job_leases set expires_at = now() + interval '50 seconds', run_id = gen_random_uuid() where job = '{JOB}'"
    ))
    .await;
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "skipped"));
    assert_eq!(of(&health(&app).await.body, JOB)["state"], "on_time");
}

#[rstest]
#[case::in_force("null", "paused")]
#[case::in_force_for_a_while("now() + interval '1 hour'", "paused")]
#[case::just_over("now() - interval '1 minute'", "on_time")]
#[case::long_over("now() - interval '9 days'", "overdue")]
#[tokio::test]
async fn the_ticks_of_a_pause_are_not_expected(#[case] until: &str, #[case] state: &str) {
    let app = old().await;
    app.execute(&format!(
        "insert into job_pauses (job, paused_at, until) values ('{JOB}', now() - interval '30 days', {until})"
    ))
    .await;
    let body = health(&app).await.body;
    assert_eq!(of(&body, JOB)["state"], state);
    assert_eq!(of(&body, JOB)["overdue_seconds"] == 0, state != "overdue");
    assert_eq!(of(&body, "weekly-reports")["state"], "overdue");
}

#[tokio::test]
async fn an_operator_who_plays_the_scheduler_hides_no_silent_one() {
    let app = old().await;
    app.execute(&format!(
        "insert into job_runs (id, job, trigger, status, message_id)
         values (gen_random_uuid(), '{JOB}', 'qstash', 'succeeded', 'msg_cli_01993f1e')"
    ))
    .await;
    let body = health(&app).await.body;
    assert_eq!(of(&body, JOB)["state"], "overdue", "{body}");
}

#[tokio::test]
async fn it_says_nothing_that_is_not_for_everybody() {
    let app = old().await;
    app.execute(&format!(
        "insert into job_pauses (job, reason, paused_by) values ('{JOB}', 'a secret', 'ada')"
    ))
    .await;
    let reply = health(&app).await;
    for word in ["secret", "ada", "reason"] {
        assert!(!reply.text.contains(word), "{}", reply.text);
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_not_well() {
    let app = App::without_a_database().await;
    let reply = health(&app).await;
    assert_eq!(reply.outcome(), (503, "unknown"));
    assert_eq!(reply.body["database"], "unreachable");
}

#[tokio::test]
async fn a_database_without_tables_is_not_well() {
    let app = App::new().await;
    app.execute("drop table _sqlx_migrations").await;
    let reply = health(&app).await;
    assert_eq!(reply.outcome(), (503, "unknown"));
    assert_eq!(reply.body["database"], "reached");
    let migrations = reply.body["migrations"].as_str().unwrap();
    assert!(migrations.contains("jarvis-cron migrate"), "{migrations}");
}
