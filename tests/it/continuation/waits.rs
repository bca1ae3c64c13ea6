//! The rest of a run, or a shard, that meets a live run: it comes again where
//! that run will not do its work.

use rstest::rstest;

use super::{a_backlog, pressed_for_time};
use crate::app::{App, JOB};

/// A run that is alive for an hour, on the rows of all shards.
async fn another_run_is_alive(app: &App, dry_run: bool, options: &str, shard: i32, shards: i32) {
    app.execute(&format!(
        "with alive as (
             insert into job_runs (id, job, shard, shard_count, trigger, dry_run, options)
             values (gen_random_uuid(), '{JOB}', {shard}, {shards}, 'operator', {dry_run}, '{options}')
             returning id
         )
         insert into job_leases (job, shard, shard_count, run_id, ttl_seconds, expires_at)
         select '{JOB}', {shard}, {shards}, id, 3600, now() + interval '1 hour' from alive
         on conflict (job, shard) do update
            set run_id = excluded.run_id,
                shard_count = excluded.shard_count,
                ttl_seconds = excluded.ttl_seconds,
                expires_at = excluded.expires_at"
    ))
    .await;
}

async fn they_end(app: &App) {
    app.execute("update job_leases set expires_at = now()")
        .await;
}

#[rstest]
#[case::a_dry_run(true, r#"{"dry_run": true}"#, 0, 1)]
#[case::a_run_of_a_few_rows(false, r#"{"limit": 2}"#, 0, 1)]
#[case::a_replay(false, r#"{"as_of": "2026-01-01T00:00:00Z"}"#, 0, 1)]
#[case::a_part(false, "{}", 1, 4)]
#[tokio::test]
async fn the_rest_of_a_run_comes_again_after_what_does_not_do_it(
    #[case] dry_run: bool,
    #[case] options: &str,
    #[case] shard: i32,
    #[case] shards: i32,
) {
    let mut connected = pressed_for_time().await;
    a_backlog(&connected, 40).await;
    let app = &connected.app;
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "partial"));
    let message = connected.qstash.messages().pop().unwrap();
    another_run_is_alive(app, dry_run, options, shard, shards).await;

    let meanwhile = connected.hand_over(&message).await;
    they_end(app).await;
    super::hurry(&mut connected);
    let app = &connected.app;
    let later = connected.hand_over(&message).await;

    assert_eq!(meanwhile.outcome(), (409, "running"), "{meanwhile:?}");
    assert!(meanwhile.headers.contains_key("retry-after"));
    assert_eq!(later.outcome(), (200, "succeeded"), "{later:?}");
    let left = "select count(*) from orders where status <> 'EXPIRED'";
    assert_eq!(app.count(left).await, 0);
}

#[tokio::test]
async fn it_leaves_the_work_to_a_run_that_does_it_all() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    a_backlog(&connected, 40).await;
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "partial"));
    let message = connected.qstash.messages().pop().unwrap();
    another_run_is_alive(app, false, "{}", 0, 1).await;

    let meanwhile = connected.hand_over(&message).await;

    assert_eq!(meanwhile.outcome(), (200, "skipped"), "{meanwhile:?}");
}

#[tokio::test]
async fn shards_come_again_after_a_dry_run() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    app.stale_orders(10, 3).await;
    let parent = app.operate(JOB, "fan_out=2").await;
    assert_eq!(parent.outcome(), (200, "succeeded"), "{parent:?}");
    another_run_is_alive(app, true, r#"{"dry_run": true}"#, 0, 1).await;
    let shards = connected.qstash.messages();
    assert_eq!(shards.len(), 2);
    for shard in &shards {
        assert_eq!(connected.hand_over(shard).await.outcome(), (409, "running"));
    }

    they_end(app).await;

    for shard in &shards {
        assert_eq!(
            connected.hand_over(shard).await.outcome(),
            (200, "succeeded")
        );
    }
    let left = "select count(*) from orders where status <> 'EXPIRED'";
    assert_eq!(app.count(left).await, 0);
}
