//! Statements that take too long for a batch are done for less of it, also those
//! that only read.

use crate::app::{App, Delivery, Reply};

use super::seed::JOB;

const GYMS: i32 = 24;
const KIOSKS: i32 = 2 * GYMS;

/// Gyms of two kiosks that were heard a second ago, with a statement's time for
/// less than all of them once something takes its time.
async fn a_slow_fleet(slow: &str) -> App {
    a_fleet("1000", "50", slow).await
}

async fn a_fleet(timeout_ms: &str, budget_seconds: &str, slow: &str) -> App {
    let app = App::with(&[
        ("DATABASE_STATEMENT_TIMEOUT_MS", timeout_ms),
        ("RUN_BUDGET_SECONDS", budget_seconds),
    ])
    .await;
    app.execute(&format!(
        "insert into gyms (name, slug, status, created_at)
         select 'Gym ' || n, 'gym-' || n, 'active', '2020-01-01' from generate_series(1, {GYMS}) n;
         insert into kiosks (gym_id, slug, name, status, created_at, last_heartbeat_at)
         select id, slug || '-' || n, 'Kiosk', 'degraded', '2024-01-01', now() from gyms, generate_series(1, 2) n;
         insert into kiosk_heartbeats (kiosk_id, received_at, sent_at)
         select id, now() - n * interval '1 hour', now() - interval '1 day' from kiosks, generate_series(0, 30) n;
         -- Not volatile, so that a view with it is like its table.
         create function slowly(at timestamptz) returns timestamptz language plpgsql stable as
         $$ begin perform pg_sleep(0.04); return at; end $$;
         {slow}"
    ))
    .await;
    app
}

async fn a_night(app: &App) {
    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let results = reply.results();
    assert_eq!(results["errors"], serde_json::json!([]), "{reply:?}");
    assert_eq!(results["total"], KIOSKS, "{reply:?}");
    let measured = app
        .count("select count(*) from kiosks where uptime is not null")
        .await;
    assert_eq!(measured, i64::from(KIOSKS));
}

#[tokio::test]
async fn judging_that_takes_too_long_is_done_in_parts() {
    // Clocks that run ahead are looked up kiosk by kiosk.
    let app = a_slow_fleet(
        "update kiosks set last_heartbeat_at = now() + interval '1 day';
         alter table kiosk_heartbeats rename to heartbeats;
         create view kiosk_heartbeats as
         select id, kiosk_id, received_at, slowly(sent_at) as sent_at, metrics from heartbeats",
    )
    .await;

    a_night(&app).await;

    let online = "select count(*) from kiosks where status = 'online'";
    assert_eq!(app.count(online).await, i64::from(KIOSKS));
}

#[tokio::test]
async fn measuring_that_takes_too_long_is_done_in_parts() {
    let app = a_slow_fleet(
        "create or replace view known_maintenances as
         select id as kiosk_id, slowly(created_at) as starts_at, slowly(created_at) as ends_at,
                true as is_recorded
           from kiosks",
    )
    .await;

    a_night(&app).await;
}

#[tokio::test]
async fn turning_that_takes_too_long_is_done_in_parts_and_each_is_passed_for_good() {
    let app = a_slow_fleet(
        "create function dawdle() returns trigger language plpgsql as
         $$ begin perform slowly(now()); return null; end $$;
         create trigger dawdle after update of status on kiosks for each row execute function dawdle();
         -- In the tenth gym, all time there is.
         create function stall() returns trigger language plpgsql as
         $$ begin
             if new.gym_id = (select id from gyms order by id offset 9 limit 1) then
                 perform pg_sleep(5);
             end if;
             return null;
         end $$;
         create trigger stall after update of status on kiosks for each row execute function stall()",
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let results = reply.results();
    assert_eq!(results["errors"].as_array().unwrap().len(), 1, "{reply:?}");
    assert_eq!(results["status_changed"], KIOSKS - 2, "{reply:?}");
}

/// All at once take too long, then half of them take the time that is left.
#[tokio::test]
async fn a_run_that_ends_between_two_parts_goes_on_with_the_second() {
    let app = a_fleet(
        "700",
        "1",
        "create function dawdle() returns trigger language plpgsql as
         $$ begin perform pg_sleep(0.02); return null; end $$;
         create trigger dawdle after update of status on kiosks for each row execute function dawdle()",
    )
    .await;

    let first = app.deliver(JOB).await;
    let mut replies = vec![first];
    while let Some(last) = replies
        .last()
        .filter(|last| last.body["status"] == "partial")
    {
        assert!(replies.len() < 20, "{replies:#?}");
        let id = &last.body["run_id"];
        let body = format!(r#"{{"continuation_of": {id}}}"#);
        let next = Delivery::of(JOB).body(&body).to(&app).await;
        replies.push(next);
    }

    assert!(replies.len() > 1, "{replies:#?}");
    let end = replies.last().map(Reply::outcome);
    assert_eq!(end, Some((200, "succeeded")), "{replies:#?}");
    for count in ["total", "status_changed"] {
        let counts = replies.iter().map(|reply| reply.results()[count].as_i64());
        assert_eq!(
            counts.sum::<Option<i64>>(),
            Some(KIOSKS.into()),
            "{replies:#?}"
        );
    }
    let measured = "select count(*) from kiosks where status = 'online' and uptime is not null";
    assert_eq!(app.count(measured).await, i64::from(KIOSKS));
}
