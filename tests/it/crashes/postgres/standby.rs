//! A standby is promoted while deliveries run.

use std::time::{Duration, Instant};

use rstest::rstest;
use sqlx::{Connection, PgConnection};

use super::server::Server;
use crate::app::{App, Delivery, JOB};
use crate::connections::way::{Fault, Way};
use crate::crashes::exactly::{assert_each_expired_once, expired};
use crate::database::Database;
use crate::processes::{Process, until};

/// The service is to work again by then.
const BAR: Duration = Duration::from_secs(15);

/// What becomes of the old server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Old {
    Crashes,
    /// Its sessions stay, and may not write any more.
    IsReadOnly,
    /// Its sessions are silent for ever.
    Vanishes,
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn after_a_fail_over_the_redelivery_succeeds_and_nothing_is_lost_or_doubled(
    #[values(Old::Crashes, Old::IsReadOnly, Old::Vanishes)] old: Old,
) {
    if !Server::can_be_copied() {
        eprintln!("NOT CHECKED: this PostgreSQL comes without pg_basebackup");
        return;
    }
    let mut primary = Server::replicated().await;
    let standby = primary.standby().await;
    execute(&primary, "alter system set synchronous_standby_names = '*'").await;
    execute(&primary, "select pg_reload_conf()").await;
    let way = Way::to(&primary.url()).await;
    let mut app = app(&primary, &way).await;
    app.stale_orders(900, 3).await;
    let process = Process::serve(&app).await;
    let answer = process.redelivering(&Delivery::of(JOB).body(r#"{"batch_size": 10}"#));
    until("a third is done", async || expired(&app).await > 300).await;

    match old {
        Old::Crashes => primary.crash(),
        Old::IsReadOnly => {
            let read_only = "alter system set default_transaction_read_only = on";
            execute(&primary, read_only).await;
            execute(&primary, "select pg_reload_conf()").await;
        }
        Old::Vanishes => way.break_all(Fault::Silent),
    }
    execute(&standby, "select pg_promote()").await;
    way.lead_to(standby.port());

    let since = Instant::now();
    let reply = answer.await.unwrap().unwrap();
    eprintln!("the old server {old:?}: {:?}", since.elapsed());
    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert!(since.elapsed() < BAR, "{:?}", since.elapsed());
    app.db = Database::elsewhere(standby.url(), standby.url())
        .direct
        .clone();
    assert_each_expired_once(&app, 900, 0, "fail-over").await;
}

async fn app(primary: &Server, way: &Way) -> App {
    let database = Database::elsewhere(primary.url(), way.url.clone());
    let limits = [
        ("DATABASE_ACQUIRE_TIMEOUT_MS", "2000"),
        ("DATABASE_STATEMENT_TIMEOUT_MS", "2000"),
        ("DATABASE_LOCK_TIMEOUT_MS", "1000"),
    ];
    App::with_database(database, &limits).await
}

async fn execute(server: &Server, statement: &'static str) {
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .unwrap();
}
