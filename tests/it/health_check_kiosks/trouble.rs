//! What cannot be judged is said and left alone, and spoils nothing else.

use std::time::Duration;

use jarvis_cron::engine::{Answer, Call, Caller, Options, Status};
use jarvis_cron::jobs;

use super::seed::{ALWAYS, JOB, NOON};
use crate::app::{App, Delivery};

/// A gym whose hours cannot be read: an old row, from before the
/// table checked them.
async fn an_odd_gym(app: &App, hours: &str, zone: &str) -> uuid::Uuid {
    let gym = app.gym(ALWAYS).await;
    app.execute(&format!(
        "alter table gyms drop constraint if exists gyms_opening_hours_well_formed,
                          drop constraint if exists gyms_timezone_known;
         update gyms set opening_hours = '{hours}', timezone = '{zone}' where id = '{gym}'"
    ))
    .await;
    gym
}

#[tokio::test]
async fn a_gym_with_unreadable_hours_is_an_error_and_left_alone() {
    for (hours, zone) in [
        (r#"{"mon": "always"}"#, "Europe/Paris"),
        ("[]", "Europe/Paris"),
        ("{}", "Mars/Olympus"),
    ] {
        let app = App::new().await;
        let odd = an_odd_gym(&app, hours, zone).await;
        app.kiosk(odd, "offline", "10 seconds").await;
        app.alert_for_all_offline("4 days").await;
        let before = app.fleet().await;
        let good = app.gym(ALWAYS).await;
        let turned = app.kiosk(good, "online", "2 hours").await;

        let results = app.check(NOON).await;

        assert_eq!(
            (&results["total"], &results["untouched"]),
            (&2.into(), &1.into())
        );
        assert_eq!(results["errors"][0]["gym_id"], odd.to_string(), "{results}");
        assert_eq!(results["errors"].as_array().unwrap().len(), 1);
        assert_eq!(app.status(turned).await, "offline");
        app.execute(&format!(
            "delete from alerts where kiosk_id = '{turned}'; delete from kiosks where id = '{turned}'"
        ))
        .await;
        assert_eq!(app.fleet().await, before);
    }
}

#[tokio::test]
async fn a_kiosk_that_another_transaction_holds_for_long_keeps_only_its_own_gym() {
    let app = App::impatient().await;
    let (one, other) = (app.gym(ALWAYS).await, app.gym(ALWAYS).await);
    let held = app.kiosk(one, "online", "2 hours").await;
    let free = app.kiosk(other, "online", "2 hours").await;
    let mut other = app.db.begin().await.unwrap();
    sqlx::query("select from kiosks where id = $1 for update")
        .bind(held)
        .execute(&mut *other)
        .await
        .unwrap();

    let results = app.check(NOON).await;

    assert_eq!(app.status(free).await, "offline");
    assert_eq!(
        (&results["offline"], &results["untouched"]),
        (&1.into(), &1.into())
    );
    assert_eq!(results["errors"][0]["gym_id"], one.to_string(), "{results}");
    other.rollback().await.unwrap();
    app.check(NOON).await;
    assert_eq!(app.status(held).await, "offline");
}

#[tokio::test]
async fn an_alert_that_another_transaction_holds_keeps_only_its_own_gym() {
    let app = App::impatient().await;
    let (one, other) = (app.gym(ALWAYS).await, app.gym(ALWAYS).await);
    let held = app.kiosk(one, "offline", "10 days").await;
    let free = app.kiosk(other, "offline", "10 days").await;
    app.alert_for_all_offline("4 days").await;
    let mut manager = app.db.begin().await.unwrap();
    sqlx::query("update alerts set status = 'acknowledged' where kiosk_id = $1")
        .bind(held)
        .execute(&mut *manager)
        .await
        .unwrap();

    let results = app.check(NOON).await;
    manager.commit().await.unwrap();

    assert_eq!(results["alerts_escalated"], 1, "{results}");
    let severity = |kiosk| format!("select severity from alerts where kiosk_id = '{kiosk}'");
    assert_eq!(app.text(&severity(free)).await, "critical");
    assert_eq!(app.text(&severity(held)).await, "warning");
}

#[tokio::test]
async fn a_run_out_of_budget_says_so_and_the_next_goes_on() {
    let app = App::with(&[("RUN_BUDGET_SECONDS", "1")]).await;
    app.execute(
        "insert into gyms (name, slug, status)
         select 'Gym ' || n, 'gym-' || n, 'active' from generate_series(1, 4000) n;
         insert into kiosks (gym_id, slug, name, status, last_heartbeat_at)
         select id, slug, name, 'offline', now() from gyms",
    )
    .await;

    let first = Delivery::of(JOB)
        .body(r#"{"batch_size": 1}"#)
        .to(&app)
        .await;
    let mut patient = app.runner.clone();
    patient.settings.budget = Duration::from_mins(5);
    let call = Call {
        job: jobs::ALL.find(JOB).unwrap(),
        options: Options::default(),
        caller: Caller::default(),
    };
    let second = patient.detached(call).await.unwrap();

    assert_eq!(first.outcome(), (200, "partial"), "{first:?}");
    let Answer::Settled { run, .. } = second else {
        panic!("{second:?}");
    };
    assert_eq!(run.status, Status::Succeeded, "{run:?}");
    assert_eq!(run.results["online"], 4000);
}

#[tokio::test]
async fn hostile_names_are_text_like_any_other() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(gym, "online", "2 hours").await;
    app.on(
        kiosk,
        r"name = '%s %I '' || ; drop table kiosks; -- \u0000 ' || repeat('x', 5000)",
    )
    .await;

    app.check(NOON).await;

    assert_eq!(app.status(kiosk).await, "offline");
    assert!(
        app.text("select title from alerts")
            .await
            .starts_with("Kiosk %s %I '")
    );
}

#[tokio::test]
async fn a_status_that_has_always_been_so_is_a_moment_like_any_other() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    let (one, other) = (
        app.kiosk(gym, "offline", "2 hours").await,
        app.kiosk(gym, "offline", "2 hours").await,
    );
    for kiosk in [one, other] {
        app.on(kiosk, "status_since = '-infinity'").await;
    }
    let lonely = app.gym(ALWAYS).await;
    let kiosk = app.kiosk(lonely, "offline", "2 hours").await;
    app.on(kiosk, "status_since = '-infinity'").await;

    let results = app.check(NOON).await;

    assert_eq!(results["alerts_opened"], 2, "{results}");
    assert_eq!(
        app.text("select string_agg(kind, ' ' order by kind) from alerts")
            .await,
        "gym_offline kiosk_offline"
    );
}
