//! Which runs may work side by side: only shards of one division.

use sqlx::AssertSqlSafe;

use super::*;
use crate::crashes::exactly::WAITING;

const ANOTHER: &str = "01900000-0000-7000-8000-000000000001";

/// As if a run of this shard were alive, or had been until it ran out.
async fn held(app: &App, shard: i32, count: i32, alive: bool) {
    let expires_at = if alive { "1 hour" } else { "-1 second" };
    app.execute(&format!(
        "insert into job_runs (id, job, shard, shard_count, trigger, status, epoch)
         values ('{ANOTHER}', '{JOB}', {shard}, {count}, 'qstash', 'running', 7);
         insert into job_leases (job, shard, shard_count, epoch, run_id, ttl_seconds, expires_at)
         values ('{JOB}', {shard}, {count}, 7, '{ANOTHER}', 3600, now() + interval '{expires_at}')"
    ))
    .await;
}

#[rstest]
#[case::the_whole_beside_a_shard((3, 4), "{}", "skipped")]
#[case::a_shard_beside_the_whole((0, 1), r#"{"shard": "3/4"}"#, "skipped")]
#[case::a_shard_of_another_division((3, 4), r#"{"shard": "1/2"}"#, "skipped")]
#[case::the_same_index_of_another((1, 4), r#"{"shard": "1/2"}"#, "skipped")]
#[case::the_same_shard((3, 4), r#"{"shard": "3/4"}"#, "skipped")]
#[case::another_shard((3, 4), r#"{"shard": "2/4"}"#, "succeeded")]
#[case::the_first_shard_beside_another((3, 4), r#"{"shard": "0/4"}"#, "succeeded")]
#[case::one_of_one_is_the_whole((3, 4), r#"{"shard": "0/1"}"#, "skipped")]
#[case::a_parent_beside_the_whole((0, 1), r#"{"fan_out": 4}"#, "skipped")]
#[case::a_parent_beside_other_shards((1, 2), r#"{"fan_out": 4}"#, "skipped")]
#[case::a_parent_beside_its_own((1, 4), r#"{"fan_out": 4}"#, "succeeded")]
#[case::a_shard_beside_its_parent((-1, 4), r#"{"shard": "1/4"}"#, "succeeded")]
#[case::a_shard_beside_another_parent((-1, 2), r#"{"shard": "1/4"}"#, "skipped")]
#[case::the_whole_beside_a_parent((-1, 2), "{}", "skipped")]
#[case::a_parent_beside_a_parent((-1, 2), r#"{"fan_out": 2}"#, "skipped")]
#[tokio::test]
async fn what_has_rows_in_common_waits(
    #[case] (shard, count): (i32, i32),
    #[case] body: &str,
    #[case] status: &str,
) {
    let connected = Connected::new().await;
    held(&connected.app, shard, count, true).await;
    let reply = Delivery::of(JOB).body(body).to(&connected.app).await;
    assert_eq!(reply.outcome(), (200, status), "{reply:?}");
    if status == "skipped" {
        assert_eq!(reply.body["code"], "already_running");
    }
    let still = "select count(*) from job_runs where status = 'running'";
    assert_eq!(connected.app.count(still).await, 1);
}

#[rstest]
#[case::the_whole("{}")]
#[case::of_another_division(r#"{"shard": "0/2"}"#)]
#[tokio::test]
async fn a_shard_whose_lease_ran_out_is_abandoned_by_a_run_of_another_division(#[case] body: &str) {
    let connected = Connected::new().await;
    held(&connected.app, 3, 4, false).await;

    let reply = Delivery::of(JOB).body(body).to(&connected.app).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(connected.run(ANOTHER).await["status"], "abandoned");
}

#[rstest]
#[case::the_whole("{}")]
#[case::of_another_division(r#"{"shard": "0/2"}"#)]
#[case::a_parent(r#"{"fan_out": 2}"#)]
#[tokio::test]
async fn a_call_waits_while_another_division_is_being_decided(#[case] body: &str) {
    let connected = Connected::new().await;
    let app = &connected.app;
    app.execute(&format!(
        "insert into job_leases (job, shard, epoch, expires_at)
         values ('{JOB}', -1, 0, '-infinity')"
    ))
    .await;
    // As a run of shard 3 of 4 begins: it locks row -1 and takes its own lease.
    let mut other = app.db.begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!(
        "select from job_leases where job = '{JOB}' and shard = -1 for update;
         insert into job_runs (id, job, shard, shard_count, trigger, status, epoch)
         values ('{ANOTHER}', '{JOB}', 3, 4, 'qstash', 'running', 7);
         insert into job_leases (job, shard, shard_count, epoch, run_id, ttl_seconds, expires_at)
         values ('{JOB}', 3, 4, 7, '{ANOTHER}', 3600, now() + interval '1 hour')"
    )))
    .execute(&mut *other)
    .await
    .unwrap();

    let decided = async {
        until("the call waits", async || app.count(WAITING).await > 0).await;
        other.commit().await.unwrap();
    };
    let delivery = Delivery::of(JOB).body(body);
    let (reply, ()) = tokio::join!(delivery.to(app), decided);

    assert_eq!(reply.outcome(), (200, "skipped"), "{reply:?}");
    assert_eq!(reply.body["code"], "already_running");
}

#[tokio::test]
async fn a_shard_that_comes_back_after_the_whole_has_begun_commits_nothing() {
    let app = App::with(&[("LEASE_TTL_SECONDS", "3600")]).await;
    let (_, intent) = app
        .stale_order_with_intent("requires_action", Some("requires_action"))
        .await;
    let hang = stripe_double::Fault::Hang(Duration::from_secs(3));
    app.stripe
        .fault(stripe_double::Operation::Retrieve, &intent, hang);
    // One of the two shards has the order, and waits for Stripe.
    let shard = async |shard: &str| {
        let body = format!(r#"{{"shard": "{shard}"}}"#);
        Delivery::of(JOB).body(&body).to(&app).await
    };
    let whole = async {
        until("Stripe is asked", async || !app.stripe.calls().is_empty()).await;
        until("the other shard is done", async || {
            app.count("select count(*) from job_runs where status = 'succeeded'")
                .await
                == 1
        })
        .await;
        app.execute("update job_leases set expires_at = now() - interval '1 second'")
            .await;
        app.deliver(JOB).await
    };
    let (first, second, whole) = tokio::join!(shard("0/2"), shard("1/2"), whole);

    assert_eq!(whole.outcome(), (200, "succeeded"), "{whole:?}");
    let mut shards = [first.outcome(), second.outcome()];
    shards.sort_unstable();
    assert_eq!(
        shards,
        [(200, "succeeded"), (409, "fenced")],
        "{first:?} {second:?}"
    );
    assert_each_expired_once(&app, 1, 1, "by the whole").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_arrives_while_its_parent_publishes_is_not_turned_away() {
    let connected = Connected::new().await;
    let app = &connected.app;
    app.stale_orders(40, 3).await;
    let hang = Fault::HangAfterEffect(Duration::from_secs(3));
    connected.qstash.fault("POST", BATCH, hang);
    connected.deliver_here().await;

    let all_arrive = until("every shard has run", async || {
        app.count("select count(*) from job_runs where shard >= 0 and status = 'succeeded'")
            .await
            == 4
    });
    let delivery = fan_out(4);
    let (parent, ()) = tokio::join!(delivery.to(app), async {
        all_arrive.await;
        let parent = "select count(*) from job_runs where shard = -1 and status = 'running'";
        assert_eq!(app.count(parent).await, 1, "the parent was done before");
    });

    assert_eq!(parent.outcome(), (200, "succeeded"), "{parent:?}");
    connected.until_all_is_delivered().await;
    let messages = connected.qstash.messages();
    assert!(
        messages
            .iter()
            .all(|message| message.fate == Fate::Delivered)
    );
    assert_each_expired_once(app, 40, 0, "beside their parent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_divisions_at_once_one_wins() {
    let connected = Connected::with(&[("DATABASE_MAX_CONNECTIONS", "20")]).await;
    let app = &connected.app;
    app.stale_orders(64, 1).await;
    app.open_intents_for_all().await;
    app.stripe.latency(Duration::from_millis(900));
    let bodies = [
        "{}",
        r#"{"shard": "0/2"}"#,
        r#"{"shard": "1/2"}"#,
        r#"{"shard": "0/3"}"#,
        r#"{"shard": "1/3"}"#,
        r#"{"shard": "2/3"}"#,
        r#"{"shard": "0/1"}"#,
        r#"{"fan_out": 5}"#,
    ];

    let deliveries = bodies.map(|body| Delivery::of(JOB).body(body));
    let replies: Vec<Reply> = join_all(deliveries.iter().map(|it| it.to(app))).await;

    for reply in &replies {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    // No two that ran at the same time divided the rows in different ways.
    let beside = app
        .rows(
            "select a.shard_count as one, b.shard_count as other
               from job_runs a
               join job_runs b
                 on b.shard_count <> a.shard_count
                and b.started_at < a.finished_at
                and a.started_at < b.finished_at
              where 'skipped' not in (a.status, b.status)",
        )
        .await;
    assert_eq!(beside, json!([]));
    let ran = app
        .count("select count(*) from job_runs where status <> 'skipped'")
        .await;
    assert!(ran > 0, "{replies:#?}");
}
