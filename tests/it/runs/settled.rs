//! What a settled run leaves, whatever the database refuses beside it.

use std::time::Duration;

use jarvis_cron::cli::serve;
use jarvis_cron::config::Settings;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::processes::until;

const RUNS: &str = "select status, results from job_runs order by started_at";

/// Log lines are refused: the identity would give a number that is taken, as
/// after a logical copy of the table.
const LOG: &str = "insert into system_logs (id, log_type, message)
         overriding system value
         select n, 'copied', 'a row that came with its number' from generate_series(1, 50) n";
/// No total can be counted up.
const TOTALS: &str = "alter table job_run_totals add constraint none check (runs < 0) not valid";

#[rstest]
#[case::the_log_line(LOG)]
#[case::the_totals(TOTALS)]
#[tokio::test]
async fn what_the_database_refuses_beside_it_costs_no_settlement(
    #[case] refuse: &str,
    #[values(false, true)] is_paused: bool,
) {
    let app = App::new().await;
    app.stale_order().await;
    app.execute(refuse).await;
    if is_paused {
        app.execute(&format!("insert into job_pauses (job) values ('{JOB}')"))
            .await;
    }
    let status = if is_paused { "skipped" } else { "succeeded" };

    for _ in 0..2 {
        let reply = app.deliver(JOB).await;
        assert_eq!(reply.outcome(), (200, status), "{reply:?}");
    }

    let held = "select count(*) from job_leases where run_id is not null";
    assert_eq!(app.count(held).await, 0);
    let of_runs = "select count(*) from system_logs where run_id is not null";
    let lines = if refuse == LOG { 0 } else { 2 };
    assert_eq!(app.count(of_runs).await, lines);
}

#[tokio::test]
async fn a_run_that_could_not_be_added_to_the_totals_is_added_by_the_next() {
    let app = App::new().await;
    app.stale_order().await;
    app.execute(TOTALS).await;
    app.deliver(JOB).await;
    app.execute("alter table job_run_totals drop constraint none")
        .await;

    app.deliver(JOB).await;

    let runs = app.rows("select status, runs from job_run_totals").await;
    assert_eq!(runs, json!([{ "status": "succeeded", "runs": 2 }]));
    let expired = "select total from job_totals where kind = 'orders_expired'";
    assert_eq!(app.count(expired).await, 1);
}

#[tokio::test]
async fn a_run_that_breaks_off_before_its_first_batch_has_empty_results() {
    const PANICS: Job = Job {
        name: "panics",
        log_type: "cron_panics",
        accepts: &[],
        totals: &[],
        run: |_| async { panic!("before the first batch") }.boxed(),
    };
    let app = App::new().await;
    let runner = serve::runner(&Settings::none().with(app.settings.clone())).unwrap();
    let call = Call {
        job: &PANICS,
        options: Options::default(),
        caller: Caller::default(),
    };

    let Answer::Settled { run, .. } = runner.detached(call).await.unwrap() else {
        panic!("it was not run");
    };

    assert_eq!((run.status, run.results), (Status::Failed, json!({})));
    assert_eq!(
        app.rows(RUNS).await,
        json!([{ "status": "failed", "results": {} }])
    );
}

#[tokio::test]
async fn a_run_whose_batches_a_crash_undid_has_failed_and_counts_what_is_left() {
    let app = App::new().await;
    app.stale_order().await;
    app.execute("update orders set expires_at = expires_at - interval '1 hour'")
        .await;
    let delivery = busy(&app, Duration::from_millis(500))
        .await
        .body(r#"{"batch_size": 1}"#);

    let crashed = async {
        until("the first batch is there", async || {
            app.count("select coalesce(max(batches), 0) from job_leases")
                .await
                == 1
        })
        .await;
        // The rows that the batch wrote are as they were.
        app.execute(
            "update job_leases set batches = 0;
             update job_runs set results = '{}';
             update orders set status = 'PENDING', expired_at = null;
             update stock_reservations
                set status = 'ACTIVE', released_at = null, release_reason = null;
             update stock_levels l
                set reserved = (select sum(quantity)
                                  from stock_reservations
                                 where stock_level_id = l.id);
             delete from audit_events",
        )
        .await;
    };
    let (lost, ()) = tokio::join!(delivery.to(&app), crashed);

    assert_eq!(lost.outcome(), (503, "failed"), "{lost:?}");
    assert!(lost.headers.contains_key("retry-after"), "{lost:?}");
    assert_eq!(lost.results(), &json!({}));
    let again = delivery.to(&app).await;
    assert_eq!(again.outcome(), (200, "succeeded"), "{again:?}");
    assert_eq!(again.results()["orders_expired"], 2, "{again:?}");
    let total = "select total from job_totals where kind = 'orders_expired'";
    assert_eq!(app.count(total).await, 2);
}

/// As a migration of the shop's does, for longer than a platform waits.
#[tokio::test]
async fn a_run_that_waits_for_others_is_settled_when_the_process_must_stop() {
    let mut app = App::new().await;
    app.runner.settings.stop_patience = Duration::ZERO;
    app.take_time();
    app.stale_order().await;
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query("lock table orders in access exclusive mode")
        .execute(&mut *holder)
        .await
        .unwrap();

    let stop = async {
        let waits = "select count(*) from pg_stat_activity
                      where datname = current_database() and wait_event_type = 'Lock'";
        until("the run waits", async || app.count(waits).await > 0).await;
        app.runner.stop.cancel();
    };
    let (reply, ()) = tokio::join!(app.deliver(JOB), stop);

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(reply.results(), &json!({}));
    holder.rollback().await.unwrap();
    let free = "select count(*) from job_leases where run_id is null or expires_at <= now()";
    assert!(app.count(free).await > 0);
}
