//! The way to Postgres goes bad: whatever becomes of it, the service works
//! again by itself, and nothing is lost or done twice.

use std::time::{Duration, Instant};

use axum::http::Method;
use rstest::rstest;
use serde_json::Value;

use crate::app::{App, Delivery, JOB, OPERATOR_SECRET, Reply};
use crate::crashes::exactly::{WAITING, assert_each_expired_once, hold_stock};
use crate::database::Database;
use crate::processes::until;

pub(crate) mod password;
mod rights;
mod settings;
mod tls;
pub(crate) mod way;

use way::{Fault, Way};

/// With these limits a delivery must succeed within that time.
const SOON: Duration = Duration::from_secs(5);
const LIMITS: [(&str, &str); 3] = [
    ("DATABASE_ACQUIRE_TIMEOUT_MS", "1000"),
    ("DATABASE_STATEMENT_TIMEOUT_MS", "1000"),
    ("DATABASE_LOCK_TIMEOUT_MS", "900"),
];

/// A service, and its way to a database.
pub(crate) async fn app_by_a_way() -> (App, Way) {
    let database = Database::new().await;
    let way = Way::to(&database.direct_url).await;
    let [acquire, statement, lock] = LIMITS;
    let settings = [("DATABASE_URL", &*way.url), acquire, statement, lock];
    (App::with_database(database, &settings).await, way)
}

async fn ready(app: &App) -> Reply {
    app.call(Method::GET, "/health/ready", &[], "").await
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn after_any_fault_of_idle_connections_the_next_delivery_succeeds(
    #[values(Fault::Cut, Fault::Reset, Fault::Silent, Fault::Stalled)] fault: Fault,
    // A connection that was used a moment ago is not asked whether it lives.
    #[values(Duration::ZERO, Duration::from_millis(1_100))] idle: Duration,
) {
    let (app, way) = app_by_a_way().await;
    app.stale_orders(20, 3).await;
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
    app.stale_orders(20, 3).await;
    tokio::time::sleep(idle).await;
    way.break_all(fault);

    let since = Instant::now();
    let reply = app.deliver(JOB).await;

    eprintln!("{fault:?}, idle for {idle:?}: {:?}", since.elapsed());
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    assert_each_expired_once(&app, 40, 0, "idle").await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn after_any_fault_inside_a_batch_the_redelivery_succeeds(
    #[values(Fault::Cut, Fault::Reset, Fault::Silent, Fault::Stalled)] fault: Fault,
) {
    let (app, way) = app_by_a_way().await;
    app.stale_orders(300, 3).await;
    let held = hold_stock(&app).await;
    let delivery = Delivery::of(JOB);
    let break_it = async {
        until("a batch waits", async || app.count(WAITING).await == 1).await;
        way.break_all(fault);
        held.rollback().await.unwrap();
        Instant::now()
    };

    let (first, since) = tokio::join!(delivery.to(&app), break_it);

    assert_eq!(first.outcome(), (503, "failed"), "{first:?}");
    let again = delivery.to(&app).await;
    eprintln!("{fault:?} inside a batch: {:?}", since.elapsed());
    assert_eq!(again.outcome(), (200, "succeeded"), "{again:?}");
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    assert_each_expired_once(&app, 300, 0, "inside a batch").await;
}

/// So many at once that every connection of the pool is there afterwards.
async fn deliveries(app: &App, number: usize) -> Vec<Reply> {
    let messages: Vec<_> = (0..number).map(|_| Delivery::of(JOB)).collect();
    futures::future::join_all(messages.iter().map(|it| it.to(app))).await
}

/// All that the pool holds go silent at once, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_given_up_take_no_place_in_the_pool() {
    let (app, way) = app_by_a_way().await;
    for _ in 0..4 {
        until("the pool has opened more than three", async || {
            deliveries(&app, 8).await;
            ours(&app).await.len() > 3
        })
        .await;
        way.break_all(Fault::Silent);

        let since = Instant::now();
        let replies = deliveries(&app, 20).await;

        let odd = replies
            .iter()
            .find(|it| ![200, 503].contains(&it.status.as_u16()));
        assert!(odd.is_none(), "{odd:?}");
        until("a delivery succeeds", async || {
            app.deliver(JOB).await.outcome() == (200, "succeeded")
        })
        .await;
        assert!(since.elapsed() < 4 * SOON, "{:?}", since.elapsed());
    }
}

#[tokio::test]
async fn connections_killed_while_idle_fail_no_delivery() {
    let (app, _way) = app_by_a_way().await;
    for _ in 0..5 {
        deliveries(&app, 8).await;
        assert!(app.count(KILL_ALL).await > 2);
        let reply = app.deliver(JOB).await;
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    }
}

#[rstest]
#[case::canceled("begin; select pg_cancel_backend(pg_backend_pid()), pg_sleep(5)")]
#[case::killed("begin; select pg_terminate_backend(pg_backend_pid()), pg_sleep(5)")]
#[tokio::test]
async fn a_begin_that_breaks_off_poisons_no_connection(#[case] begin: &'static str) {
    let (app, way) = app_by_a_way().await;
    assert_eq!(app.deliver(JOB).await.status, 200);
    way.replace_begin(begin);
    for _ in 0..5 {
        let reply = app.deliver(JOB).await;
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    }
    assert!(way.has_replaced());
    let idle = "select count(*) from pg_stat_activity
                 where datname = current_database() and state like 'idle in transaction%'";
    until("none is left", async || app.count(idle).await == 0).await;
}

#[rstest]
#[case::no_server("08P01", "query_wait_timeout")]
#[case::login("08P01", "server login has been failing (server_login_retry)")]
#[case::pooler_ends("57P01", "the database system is shutting down")]
#[case::in_its_own_words("58000", "server conn crashed?")]
#[case::full("53300", "no more connections allowed (max_client_conn)")]
#[tokio::test]
async fn a_begin_that_a_pooler_ends_fails_no_delivery(#[case] code: &str, #[case] said: &str) {
    let (app, way) = app_by_a_way().await;
    assert_eq!(app.deliver(JOB).await.status, 200);
    for _ in 0..3 {
        way.end_begin(code, said);
        let reply = app.deliver(JOB).await;
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
        assert!(way.has_replaced());
    }
}

/// The pool asks a connection that comes back whether it lives.
#[tokio::test]
async fn connections_that_go_silent_on_their_way_back_take_no_place_in_the_pool() {
    let (app, way) = app_by_a_way().await;
    for _ in 0..8 {
        way.be_silent_after_a_commit();
        let reply = app.deliver(JOB).await;
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
        assert!(way.has_replaced());
    }
}

/// A flood of callers that hang up costs the deliveries no connection.
#[tokio::test]
async fn a_caller_that_goes_away_closes_its_own_connection_only() {
    let (app, _way) = app_by_a_way().await;
    deliveries(&app, 8).await;
    let before = ours(&app).await;
    assert!(before.len() > 2, "{before:?}");
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query("lock table _sqlx_migrations")
        .execute(&mut *holder)
        .await
        .unwrap();

    tokio::select! {
        reply = ready(&app) => panic!("{reply:?}"),
        () = until("it waits", async || app.count(WAITING).await == 1) => {}
    }

    holder.rollback().await.unwrap();
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
    let after = ours(&app).await;
    let left = before.iter().filter(|it| after.contains(it)).count();
    assert!(left + 1 >= before.len(), "{before:?} {after:?}");
}

#[tokio::test]
async fn a_server_that_is_read_only_is_left_as_soon_as_another_is_there() {
    let (app, way) = app_by_a_way().await;
    app.execute(&alter_database("set default_transaction_read_only = on"))
        .await;
    way.break_all(Fault::Cut);

    let refused = app.deliver(JOB).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let unwell = ready(&app).await;
    assert_eq!(unwell.status, 503);
    assert_eq!(unwell.body["database"], "read_only", "{unwell:?}");
    let secret = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    let figures = app.call(Method::GET, "/metrics", &secret, "").await.text;
    assert!(figures.contains("jarvis_cron_up 1\n"), "{figures}");
    assert!(figures.contains("jarvis_cron_ready 0\n"), "{figures}");

    // Sessions that are there stay read-only; new ones are not.
    app.execute(&alter_database("reset default_transaction_read_only"))
        .await;
    let reply = app.deliver(JOB).await;
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(ready(&app).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_the_server_is_read_only_closes_the_connection() {
    let (app, way) = app_by_a_way().await;
    assert_eq!(app.deliver(JOB).await.status, 200);
    let before = ours(&app).await;
    // Its begin says nothing of it.
    way.replace_begin("begin; set transaction read only; select 'off'");

    assert_eq!(app.deliver(JOB).await.status, 503);
    assert!(way.has_replaced());
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));

    let after = ours(&app).await;
    let stays = before.iter().any(|it| after.contains(it));
    assert!(!stays, "{before:?} {after:?}");
}

/// As a fail-over does: the session was well, and its server is read-only now.
#[tokio::test]
async fn a_session_that_became_read_only_fails_no_delivery() {
    let (app, way) = app_by_a_way().await;
    app.stale_orders(20, 3).await;
    way.replace_begin(
        "set default_transaction_read_only = on; commit;
         begin; select current_setting('transaction_read_only')",
    );
    for _ in 0..3 {
        let reply = app.deliver(JOB).await;
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    }
    assert!(way.has_replaced());
    assert_each_expired_once(&app, 20, 0, "read-only").await;
}

/// The server processes of the service.
async fn ours(app: &App) -> Vec<Value> {
    app.rows(OURS).await.as_array().unwrap().clone()
}

const OURS: &str = "select pid
      from pg_stat_activity
     where datname = current_database()
       and application_name = 'jarvis-cron'";
const KILL_ALL: &str = "select count(pg_terminate_backend(pid))
      from pg_stat_activity
     where datname = current_database()
       and application_name = 'jarvis-cron'";

fn alter_database(how: &str) -> String {
    format!(
        "begin read write;
         do $$ begin execute format('alter database %I {how}', current_database()); end $$;
         commit"
    )
}
