//! Runs that end early: out of budget, killed, or fenced off.

use jarvis_cron::engine::{
    Answer, Call, Caller, Continuation, NotContinued, Options, Status, Trigger,
};
use jarvis_cron::jobs;
use serde_json::json;

use super::{JOB, a_gym, counts, in_a_gym, left, logged, of, rows_of};
use crate::app::{App, Delivery};
use crate::messages::Connected;
use crate::processes::{Process, until};

const OLD: &str = "(now() - interval '1 year' - n * interval '1 second')";
/// Enough for a run to be killed or out of budget before it has erased them all.
const ROWS: i64 = 12_000;

async fn erased(app: &App) -> i64 {
    ROWS - left(app, "conversation_events").await
}

#[tokio::test]
async fn out_of_budget_the_next_run_goes_on_and_the_log_adds_up() {
    let mut app = in_a_gym(App::with(&[("RUN_BUDGET_SECONDS", "1")]).await).await;
    app.execute(&rows_of("conversation_events", OLD, ROWS))
        .await;

    let first = app.operate(JOB, "batch_size=5").await;

    assert_eq!(first.outcome(), (200, "partial"), "{first:?}");
    let done = of(&first, "conversation_events")["affected"]
        .as_i64()
        .unwrap();
    assert_eq!(
        counts(&first, "conversation_events"),
        json!([done, ROWS - done, 0])
    );
    assert_eq!(
        (
            erased(&app).await,
            logged(&app, "conversation_events").await
        ),
        (done, done)
    );
    app.take_time();
    let second = app.deliver(JOB).await;
    assert_eq!(second.outcome(), (200, "succeeded"), "{second:?}");
    assert_eq!(
        counts(&second, "conversation_events"),
        json!([ROWS - done, 0, 0])
    );
    assert_eq!(logged(&app, "conversation_events").await, ROWS);
    assert_eq!(app.count("select count(*) from erasure_log").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_at_any_moment_has_logged_and_counted_what_it_erased() {
    let app = in_a_gym(App::with(&[("LEASE_TTL_SECONDS", "1")]).await).await;
    app.execute(&rows_of("conversation_events", OLD, ROWS))
        .await;
    let delivery = Delivery::of(JOB).body(r#"{"batch_size": 20}"#);

    for goal in [800, 2_000, 4_000] {
        let process = Process::serve(&app).await;
        let answer = process.redelivering(&delivery);
        until("the run has come that far", async || {
            erased(&app).await >= goal
        })
        .await;
        process.kill().await;
        assert!(answer.await.unwrap().is_err(), "answered");
        let done = erased(&app).await;
        assert!(done < ROWS, "nothing was left to do");
        assert_eq!(logged(&app, "conversation_events").await, done);
        let counted = "select sum((results ->> 'rows_erased')::bigint) from job_runs";
        assert_eq!(app.count(counted).await, done);
    }
    let process = Process::serve(&app).await;
    let reply = process.address.redeliver(&delivery).await.unwrap();

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(erased(&app).await, ROWS);
    assert_eq!(logged(&app, "conversation_events").await, ROWS);
}

#[tokio::test]
async fn a_run_that_has_lost_its_lease_erases_nothing_more() {
    let app = a_gym().await;
    app.execute(&rows_of("conversation_events", OLD, ROWS))
        .await;
    // Another run takes the lease as soon as this run has erased a little.
    app.execute(
        "create function take() returns trigger language plpgsql as $$ begin
             if (select sum(affected) from erasure_log) > 100 then
                 update job_leases set epoch = epoch + 1; end if; return null; end $$;
         create trigger take after insert or update on erasure_log
             for each row execute function take()",
    )
    .await;

    let reply = app.operate(JOB, "batch_size=50").await;

    assert_eq!(reply.outcome(), (409, "fenced"), "{reply:?}");
    assert_eq!(erased(&app).await, 150);
    assert_eq!(logged(&app, "conversation_events").await, 150);
    assert_eq!(reply.results()["rows_erased"], 150);
}

#[tokio::test]
async fn a_run_whose_connection_is_cut_may_come_again_and_gives_up_no_policy() {
    let app = a_gym().await;
    app.execute(&rows_of("conversation_events", OLD, 10)).await;
    let mut desk = app.db.begin().await.unwrap();
    sqlx::query("lock table conversation_events in exclusive mode")
        .execute(&mut *desk)
        .await
        .unwrap();

    let cut = async {
        let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock'";
        until("the run is cut off", async || app.count(cut).await > 0).await;
        desk.rollback().await.unwrap();
    };
    let (reply, ()) = tokio::join!(app.deliver(JOB), cut);

    assert_eq!(reply.outcome(), (503, "failed"), "{reply:?}");
    let next = app.deliver(JOB).await;
    assert_eq!(counts(&next, "conversation_events"), json!([10, 0, 0]));
}

#[tokio::test]
async fn a_run_that_begins_no_policy_ends_no_alert_and_asks_for_no_rest() {
    let connected = Connected::new().await;
    let app = &connected.app;
    app.execute(
        "insert into alerts (kind, severity, dedup_key, title)
         values ('retention_policy_failing', 'high', 'retention_policy_failing:visits', 'x')",
    )
    .await;
    app.runner.stop.cancel();
    let call = Call {
        job: jobs::ALL.find(JOB).unwrap(),
        options: Options::default(),
        caller: Caller {
            trigger: Trigger::Qstash,
            ..Caller::default()
        },
    };

    let answer = app.runner.detached(call).await.unwrap();

    let Answer::Settled {
        run, continuation, ..
    } = answer
    else {
        panic!("{answer:?}");
    };
    assert_eq!(run.status, Status::Partial);
    assert_eq!(
        continuation,
        Some(Continuation::Not(NotContinued::NoProgress))
    );
    let open = "select count(*) from alerts where status = 'open'";
    assert_eq!(app.count(open).await, 1);
}

#[tokio::test]
async fn two_deliveries_at_once_erase_every_row_once() {
    let app = a_gym().await;
    app.execute(&rows_of("conversation_events", OLD, ROWS))
        .await;

    let (one, other) = tokio::join!(app.deliver(JOB), app.deliver(JOB));

    let mut outcomes = [one.outcome(), other.outcome()];
    outcomes.sort_unstable();
    // The second may also have come when the first was over.
    assert_eq!(outcomes[1], (200, "succeeded"), "{one:?} {other:?}");
    assert_eq!(erased(&app).await, ROWS);
    assert_eq!(logged(&app, "conversation_events").await, ROWS);
}
