//! The database goes away in the middle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::exactly::{
    WAITING, assert_each_expired_once, assert_nothing_half_done, hold_stock, statuses,
};
use super::number_below;
use crate::app::{App, Delivery, JOB};
use crate::processes::{Process, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_inside_a_batch_is_a_503_and_the_redelivery_finishes() {
    let app = App::new().await;
    app.stale_orders(300, 3).await;
    let delivery = Delivery::of(JOB);
    let process = Process::serve(&app).await;
    let held = hold_stock(&app).await;
    let answer = process.delivering(&delivery);
    until("a batch waits", async || app.count(WAITING).await == 1).await;

    assert_eq!(app.count(CUT_WAITING).await, 1);
    held.rollback().await.unwrap();

    let reply = answer.await.unwrap().unwrap();
    assert_eq!(reply.outcome(), (503, "failed"), "{reply:?}");
    assert!(reply.headers.contains_key("retry-after"), "{reply:?}");
    assert_nothing_half_done(&app, "connection lost").await;
    let again = process.address.deliver(&delivery).await.unwrap();
    assert_eq!(again.outcome(), (200, "succeeded"), "{again:?}");
    assert_eq!(statuses(&app).await, ["failed", "succeeded"]);
    assert_each_expired_once(&app, 300, 0, "connection lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_lost_again_and_again_spoil_nothing() {
    let app = App::with(&[("LEASE_TTL_SECONDS", "1")]).await;
    app.stale_orders(800, 3).await;
    app.open_intents_for_all().await;
    let process = Process::serve(&app).await;
    let answer = process.redelivering(&Delivery::of(JOB));

    let (mut lost, mut pauses) = (0, Vec::new());
    while lost < 12 && !answer.is_finished() {
        let pause = number_below(150);
        pauses.push(pause);
        sleep(Duration::from_millis(pause.into())).await;
        lost += app.count(CUT_ALL).await;
    }

    let how = format!("{lost} connections lost after pauses of {pauses:?} ms");
    assert!(lost > 2, "{how}");
    assert_nothing_half_done(&app, &how).await;
    let reply = answer.await.unwrap().unwrap();
    assert_eq!(reply.outcome(), (200, "succeeded"), "{how}: {reply:?}");
    assert_each_expired_once(&app, 800, 800, &how).await;
}

#[rstest]
#[case::of_its_begin("insert into job_runs", 503, &["abandoned", "succeeded"])]
#[case::of_a_batch("set status = 'EXPIRED'", 503, &["failed", "succeeded"])]
#[case::of_its_end("insert into system_logs", 200, &["succeeded"])]
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_still_counts_once(
    #[case] last_words: &'static str,
    #[case] status: u16,
    #[case] ends: &[&str],
) {
    let mut app = App::with(&[("LEASE_TTL_SECONDS", "1")]).await;
    app.stale_orders(300, 3).await;
    let way = losing_the_answer_to(last_words, &app.settings["DATABASE_URL"]).await;
    app.settings.insert("DATABASE_URL".to_owned(), way);
    let process = Process::serve(&app).await;
    let delivery = Delivery::of(JOB);

    let reply = process.address.deliver(&delivery).await.unwrap();

    assert_eq!(reply.status.as_u16(), status, "{reply:?}");
    assert_nothing_half_done(&app, last_words).await;
    let again = process.address.redeliver(&delivery).await.unwrap();
    assert_eq!(again.status.as_u16(), 200, "{again:?}");
    assert_eq!(statuses(&app).await, ends);
    assert_each_expired_once(&app, 300, 0, last_words).await;
    let logged = app
        .rows("select run_id from system_logs order by run_id")
        .await;
    assert_eq!(
        logged,
        app.rows("select id as run_id from job_runs order by id")
            .await
    );
}

/// Ends the service's connections, at work or not.
const CUT_ALL: &str = "select count(pg_terminate_backend(pid))
      from pg_stat_activity
     where datname = current_database()
       and application_name = 'jarvis-cron'";
/// Ends those that wait for a lock.
const CUT_WAITING: &str = "select count(pg_terminate_backend(pid))
      from pg_stat_activity
     where datname = current_database()
       and wait_event_type = 'Lock'";

/// An address of the same database that breaks off once: when the first
/// transaction that says `last_words` is committed, before its caller hears of it.
async fn losing_the_answer_to(last_words: &'static str, database: &str) -> String {
    let mut url = url::Url::parse(database).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port()))
        .unwrap();
    tokio::spawn(async move {
        let is_done = Arc::new(AtomicBool::new(false));
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(pass_on(client, server, last_words, Arc::clone(&is_done)));
        }
    });
    url.to_string()
}

async fn pass_on(
    mut client: TcpStream,
    mut server: TcpStream,
    last_words: &str,
    is_done: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let has = |said: &[u8], words: &str| said.windows(words.len()).any(|it| it == words.as_bytes());
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut are_said = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => match read? {
                0 => return Ok(()),
                length => {
                    are_said |= has(&asked[..length], last_words);
                    server.write_all(&asked[..length]).await?;
                }
            },
            read = server.read(&mut answered) => match read? {
                0 => return Ok(()),
                length => {
                    let is_kept = are_said && has(&answered[..length], "COMMIT\0");
                    if is_kept && !is_done.swap(true, Ordering::Relaxed) {
                        return Ok(());
                    }
                    client.write_all(&answered[..length]).await?;
                }
            },
        }
    }
}
