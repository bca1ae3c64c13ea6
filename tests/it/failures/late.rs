//! Callbacks that come late, or while the schedule is recovering.

use super::*;

/// The moment, so many minutes from now, as QStash writes it.
fn ms(minutes: i64) -> Value {
    let moment = now() + chrono::Duration::minutes(minutes);
    moment.timestamp_millis().into()
}

#[tokio::test]
async fn a_callback_that_comes_after_a_later_success_opens_nothing() {
    let app = App::new().await;
    break_the_job(&app).await;
    tick("msg_1").to(&app).await;
    fix_the_job(&app).await;
    let success = tick("msg_2").to(&app).await;

    assert_eq!(noted(&app, &callback("msg_1")).await, "mended");

    assert_eq!(alerts(&app).await, json!([]));
    let recovered = app.rows("select mended_by from delivery_failures").await;
    assert_eq!(recovered, json!([{ "mended_by": success.body["run_id"] }]));
    let log = "select level, details ->> 'alert' as alert from system_logs
                where log_type = 'cron_schedule_failing'";
    assert_eq!(
        app.rows(log).await,
        json!([{ "level": "warning", "alert": "mended" }])
    );
}

#[tokio::test]
async fn a_success_between_two_attempts_does_not_count() {
    let app = App::new().await;
    break_the_job(&app).await;
    tick("msg_1").to(&app).await;
    fix_the_job(&app).await;
    tick("msg_2").to(&app).await;
    break_the_job(&app).await;
    tick("msg_1").to(&app).await;
    // QStash's own dates lie before that success, the ledger knows better.
    let callback = with(
        callback("msg_1"),
        &json!({ "createdAt": ms(-60), "notBefore": ms(-60) }),
    );
    assert_eq!(noted(&app, &callback).await, "opened");
}

#[tokio::test]
async fn a_message_that_never_arrived_is_dated_by_qstash() {
    let app = App::new().await;
    tick("msg_0").to(&app).await;
    let before = json!({ "createdAt": ms(-60), "notBefore": ms(-60), "status": 0 });
    let after = json!({ "createdAt": ms(-60), "notBefore": ms(60), "status": 0 });
    assert_eq!(
        noted(&app, &with(callback("msg_1"), &before)).await,
        "mended"
    );
    assert_eq!(
        noted(&app, &with(callback("msg_2"), &after)).await,
        "opened"
    );
}

#[tokio::test]
async fn a_success_that_ends_while_the_callback_comes_leaves_no_alert_behind() {
    let app = App::with(&[("DATABASE_MAX_CONNECTIONS", "8")]).await;
    for round in 0..15 {
        let message = format!("msg_{round}");
        let failed = with(
            callback(&message),
            &json!({ "createdAt": ms(-60), "notBefore": ms(-60) }),
        );
        let tick = tick(&format!("msg_tick_{round}"));

        let (success, _) = tokio::join!(tick.to(&app), tell(&app, &failed));

        assert_eq!(success.outcome(), (200, "succeeded"), "{success:?}");
        let open = "select count(*) from alerts where status = 'open'";
        assert_eq!(app.count(open).await, 0, "round {round}");
        let unresolved = "select count(*) from delivery_failures where mended_by is null";
        assert_eq!(app.count(unresolved).await, 0, "round {round}");
    }
}

#[tokio::test]
async fn a_callback_waits_for_a_success_that_is_being_settled() {
    let app = App::new().await;
    let mut settling = app.db.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('schedule_failing:' || $1, 0))")
        .bind(JOB)
        .execute(&mut *settling)
        .await
        .unwrap();
    sqlx::query(
        "insert into job_runs (id, job, trigger, status, started_at, finished_at, schedule_id)
         values (gen_random_uuid(), $1, 'qstash', 'succeeded', now(), now(), $2)",
    )
    .bind(JOB)
    .bind(SCHEDULE)
    .execute(&mut *settling)
    .await
    .unwrap();
    let before = json!({ "createdAt": ms(-60), "notBefore": ms(-60) });
    let failed = with(callback("msg_1"), &before);
    let telling = noted(&app, &failed);
    let settled = async {
        // Until the callback waits for the lock.
        while app
            .count("select count(*) from pg_locks where locktype = 'advisory' and not granted")
            .await
            == 0
        {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        settling.commit().await.unwrap();
    };

    let (noted, ()) = tokio::join!(telling, settled);

    assert_eq!(noted, "mended");
}

#[tokio::test]
async fn a_success_that_began_before_the_failure_does_not_resolve_it() {
    let app = App::new().await;
    app.stale_order().await;
    app.open_intents_for_all().await;
    // Held back by Stripe, so that the message fails in its midst.
    app.stripe.latency(std::time::Duration::from_secs(2));
    let failed = async {
        while app.count("select count(*) from job_runs").await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let failed = json!({ "createdAt": null, "notBefore": null });
        noted(&app, &with(callback("msg_1"), &failed)).await
    };
    let slow = tick("msg_slow");

    let (success, noted) = tokio::join!(slow.to(&app), failed);

    assert_eq!(success.outcome(), (200, "succeeded"));
    assert_eq!(noted, "opened");
    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "open", 1));

    tick("msg_2").to(&app).await;
    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "resolved", 1));
}

#[tokio::test]
async fn a_failure_in_the_future_is_resolved_by_the_next_success() {
    let app = App::new().await;
    let ahead = json!({ "createdAt": ms(60), "notBefore": ms(60) });
    noted(&app, &with(callback("msg_1"), &ahead)).await;
    tick("msg_2").to(&app).await;
    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "resolved", 1));
}

/// An hour is taken back from the clock: what was dated before it lies ahead.
async fn set_the_clock_back(app: &App) {
    app.execute(
        "update job_runs
            set started_at = started_at + interval '1 hour',
                finished_at = finished_at + interval '1 hour';
         update delivery_failures
            set failed_at = failed_at + interval '1 hour',
                received_at = received_at + interval '1 hour'",
    )
    .await;
}

#[tokio::test]
async fn a_success_dated_in_the_future_hides_no_failure() {
    let app = App::new().await;
    tick("msg_1").to(&app).await;
    set_the_clock_back(&app).await;
    break_the_job(&app).await;
    tick("msg_2").to(&app).await;

    assert_eq!(noted(&app, &callback("msg_2")).await, "opened");

    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "open", 1));
}

#[tokio::test]
async fn a_failure_dated_in_the_future_is_over_with_the_next_success() {
    let app = App::new().await;
    break_the_job(&app).await;
    tick("msg_1").to(&app).await;
    noted(&app, &callback("msg_1")).await;
    set_the_clock_back(&app).await;
    fix_the_job(&app).await;

    tick("msg_2").to(&app).await;

    assert_eq!(alerts(&app).await, an_alert(SCHEDULE, "resolved", 1));
}
