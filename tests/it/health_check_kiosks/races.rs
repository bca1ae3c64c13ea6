//! Runs that overlap, heartbeats that come in meanwhile, and runs that are
//! killed: the fleet ends as if none of it had happened.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::seed::{ALWAYS, JOB, NOON};
use crate::app::{App, Delivery};
use crate::processes::{Process, until};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_at_once_the_second_is_skipped() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk_at("now", gym, "offline", "0 seconds").await;
    // The first run waits for this row.
    let mut heartbeat = app.db.begin().await.unwrap();
    sqlx::query("select from kiosks where id = $1 for update")
        .bind(kiosk)
        .execute(&mut *heartbeat)
        .await
        .unwrap();

    let second = async {
        until("the first waits", async || is_waiting(&app).await).await;
        let reply = app.deliver(JOB).await;
        heartbeat.rollback().await.unwrap();
        reply
    };
    let (first, second) = tokio::join!(app.deliver(JOB), second);

    assert_eq!(first.outcome(), (200, "succeeded"), "{first:?}");
    // The batch that waits holds the lease's row: who cannot even look at it
    // is asked to come again.
    let is_skipped = second.outcome() == (200, "skipped") || second.status == 503;
    assert!(is_skipped, "{second:?}");
    assert_eq!(app.status(kiosk).await, "online");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_that_comes_first_keeps_its_kiosk_online() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let back = app.kiosk(gym, "online", "2 hours").await;
    let gone = app.kiosk(gym, "online", "2 hours").await;
    let mut heartbeat = app.db.begin().await.unwrap();
    sqlx::query("update kiosks set last_heartbeat_at = '2026-01-15T10:59:59Z' where id = $1")
        .bind(back)
        .execute(&mut *heartbeat)
        .await
        .unwrap();

    let received = async {
        until("the run waits", async || is_waiting(&app).await).await;
        heartbeat.commit().await.unwrap();
    };
    let (results, ()) = tokio::join!(app.check(NOON), received);

    assert_eq!(app.status(back).await, "online");
    assert_eq!(app.status(gone).await, "offline");
    assert_eq!(app.alerts().await, "kiosk_offline kiosk-2 warning open x1");
    let counts = (
        &results["online"],
        &results["offline"],
        &results["status_changed"],
    );
    assert_eq!(counts, (&1.into(), &1.into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_of_today_that_comes_into_a_replay_leaves_its_kiosk_to_the_next_run() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "degraded", "1 second").await;
    app.beat(kiosk, "2026-01-15T10:59:59Z", "2026-01-15T10:59:59Z")
        .await;
    let mut heartbeat = app.db.begin().await.unwrap();
    sqlx::query("update kiosks set last_heartbeat_at = '2026-03-01' where id = $1")
        .bind(kiosk)
        .execute(&mut *heartbeat)
        .await
        .unwrap();

    let received = async {
        until("the run waits", async || is_waiting(&app).await).await;
        heartbeat.commit().await.unwrap();
    };
    let (results, ()) = tokio::join!(app.check(NOON), received);
    assert_eq!(results["status_changed"], 0, "{results}");
    assert_eq!(app.status(kiosk).await, "degraded");

    app.check(NOON).await;
    assert_eq!(app.status(kiosk).await, "online");
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_written_all_the_while_harm_no_run() {
    let app = App::new().await;
    for _ in 0..40 {
        let gym = app.gym(ALWAYS).await;
        app.kiosk_at("now", gym, "offline", "1 second").await;
        app.kiosk_at("now", gym, "online", "3 days").await;
        app.kiosk_at("now", gym, "online", "1 second").await;
        app.kiosk_at("now", gym, "online", "1 second").await;
    }
    let mut writer = app.db.acquire().await.unwrap();
    let beating = async {
        for round in 0..2_000 {
            sqlx::query(
                "update kiosks set last_heartbeat_at = now()
                  where slug = 'kiosk-' || (1 + 4 * ($1 * 7 % 40))",
            )
            .bind(round)
            .execute(&mut *writer)
            .await
            .unwrap();
        }
    };
    let running = async {
        let mut replies = Vec::new();
        for _ in 0..5 {
            replies.push(
                Delivery::of(JOB)
                    .body(r#"{"batch_size": 8}"#)
                    .to(&app)
                    .await,
            );
        }
        replies
    };

    let ((), replies) = tokio::join!(beating, running);

    for reply in replies {
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
        assert_eq!(reply.results()["errors"], json!([]), "{reply:?}");
        assert_eq!(
            (&reply.results()["online"], &reply.results()["offline"]),
            (&120.into(), &40.into())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_again_and_again_leaves_what_an_undisturbed_one_leaves() {
    let (app, calm) = tokio::join!(App::with(&[("LEASE_TTL_SECONDS", "1")]), App::new());
    for one in [&app, &calm] {
        one.a_fleet_of_every_kind().await;
        one.execute(
            "insert into gyms (id, name, slug, status)
             select md5('more ' || n)::uuid, 'More ' || n, 'more-' || n, 'active'
               from generate_series(1, 1500) n;
             insert into kiosks (id, gym_id, slug, name, status, status_since, created_at,
                                 updated_at, last_heartbeat_at)
             select md5(slug)::uuid, id, slug, name,
                    case when n % 3 = 0 then 'online' else 'offline' end, '2025-06-01',
                    '2025-01-01', '2025-06-01',
                    case when n % 7 = 0 then timestamptz '2026-01-14' else '2026-01-15T10:59:00Z' end
               from (select *, row_number() over (order by id) as n from gyms
                      where slug like 'more-%') numbered",
        )
        .await;
    }
    let delivery = Delivery::of(JOB).body(&format!(r#"{{"as_of": "{NOON}", "batch_size": 10}}"#));
    let done = "select count(*) from kiosks where status_since = '2026-01-15T11:00:00Z'";

    let mut moments = Vec::new();
    for further in [1, 250, 250] {
        let process = Process::serve(&app).await;
        let goal = app.count(done).await + further;
        let answer = process.redelivering(&delivery);
        until("the run has come that far", async || {
            app.count(done).await >= goal
        })
        .await;
        sleep(Duration::from_millis(u64::from(
            uuid::Uuid::new_v4().as_fields().0 % 20,
        )))
        .await;
        process.kill().await;
        moments.push(app.count(done).await);
        assert!(answer.await.unwrap().is_err(), "answered after {moments:?}");
    }
    let process = Process::serve(&app).await;
    let reply = process.address.redeliver(&delivery).await.unwrap();
    assert_eq!(
        reply.outcome(),
        (200, "succeeded"),
        "{moments:?}: {reply:?}"
    );
    calm.check(NOON).await;

    assert_eq!(
        app.fleet().await,
        calm.fleet().await,
        "killed at {moments:?}"
    );
}

/// Whether a connection waits for a row.
async fn is_waiting(app: &App) -> bool {
    app.count(
        "select count(*) from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'",
    )
    .await
        > 0
}
