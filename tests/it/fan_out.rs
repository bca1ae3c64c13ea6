//! A run that divides its work: one message for each shard, and shards that share nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use jarvis_cron::demo::qstash_double::{Fate, Fault};
use jarvis_cron::demo::stripe_double;
use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{App, Delivery, JOB, Reply};
use crate::crashes::exactly::assert_each_expired_once;
use crate::messages::Connected;
use crate::processes::{Process, until};

mod overlap;
mod refused;

const BATCH: &str = "/v2/batch";

fn fan_out(shards: u32) -> Delivery {
    Delivery::of(JOB).body(&format!(r#"{{"fan_out": {shards}}}"#))
}

/// The shards that QStash was asked to deliver, one for each message.
fn shards(connected: &Connected) -> Vec<(u64, u64)> {
    let messages = connected.qstash.messages();
    let bodies = messages
        .iter()
        .map(|it| serde_json::from_str(&it.body).unwrap());
    let shards = bodies.map(|body: Value| {
        let shard = &body["shard"];
        (
            shard["index"].as_u64().unwrap(),
            shard["count"].as_u64().unwrap(),
        )
    });
    let mut shards: Vec<_> = shards.collect();
    shards.sort_unstable();
    shards
}

fn all_of(count: u64) -> Vec<(u64, u64)> {
    (0..count).map(|index| (index, count)).collect()
}

#[tokio::test]
async fn one_call_publishes_a_message_for_each_shard() {
    let connected = Connected::new().await;
    connected.app.stale_order().await;

    let body = r#"{"fan_out": 3, "batch_size": 9, "limit": 50}"#;
    let parent = Delivery::of(JOB).body(body).to(&connected.app).await;

    assert_eq!(parent.outcome(), (200, "succeeded"), "{parent:?}");
    let paths: Vec<_> = connected
        .qstash
        .calls()
        .into_iter()
        .map(|call| call.path)
        .collect();
    assert_eq!(paths, [BATCH]);
    let messages = connected.qstash.messages();
    assert_eq!(shards(&connected), all_of(3));
    let named: Vec<Value> = messages
        .iter()
        .enumerate()
        .map(|(shard, message)| json!({ "shard": shard, "message_id": message.id }))
        .collect();
    assert_eq!(
        *parent.results(),
        json!({ "shards_published": 3, "shards": named })
    );
    assert_eq!(
        serde_json::from_str::<Value>(&messages[1].body).unwrap(),
        json!({ "batch_size": 9, "limit": 50, "shard": { "index": 1, "count": 3 },
                "continuation_of": parent.body["run_id"] })
    );
    assert_eq!(messages[1].header("upstash-retries"), Some("3"));
    assert_eq!(
        connected.app.order_count("EXPIRED").await,
        0,
        "the parent worked"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_in_two_processes_do_all_the_work_once() {
    let connected = Connected::new().await;
    let app = &connected.app;
    app.stale_orders(1_000, 3).await;
    app.open_intents_for_all().await;
    let (one, two) = tokio::join!(Process::serve(app), Process::serve(app));
    connected.deliver_to(&[one.address.url(), two.address.url()]);

    let parent = one.address.deliver(&fan_out(8)).await.unwrap();

    assert_eq!(parent.outcome(), (200, "succeeded"), "{parent:?}");
    connected.until_all_is_delivered().await;
    assert_each_expired_once(app, 1_000, 1_000, "in eight shards").await;
    let family = connected.run_of(&parent).await;
    let children = family["children"].as_array().unwrap();
    assert_eq!(children.len(), 8, "{family:#?}");
    assert_eq!(
        (&family["shard"], &family["shard_count"]),
        (&json!(-1), &json!(8))
    );
    let mut seen = BTreeSet::new();
    let mut expired = 0;
    for child in children {
        let run = connected.run(child.as_str().unwrap()).await;
        assert_eq!(run["continuation_of"], parent.body["run_id"]);
        assert_eq!(
            (&run["status"], &run["chain_position"]),
            (&json!("succeeded"), &json!(1))
        );
        seen.insert(run["shard"].as_i64().unwrap());
        expired += run["results"]["orders_expired"].as_i64().unwrap();
    }
    assert_eq!((seen.len(), expired), (8, 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_continuation_of_a_shard_keeps_its_shard() {
    let connected = Connected::with(&[("RUN_BUDGET_SECONDS", "2"), ("STRIPE_MAX_RPS", "60")]).await;
    let app = &connected.app;
    app.stale_orders(160, 3).await;
    app.open_intents_for_all().await;
    connected.deliver_here().await;

    fan_out(2).to(app).await;

    connected.until_all_is_delivered().await;
    assert_each_expired_once(app, 160, 160, "in two chains").await;
    let chains = app
        .rows(
            "select r.shard, before.options ? 'fan_out' as is_first, r.chain_position
               from job_runs r
               join job_runs before on before.id = r.continuation_of
              where before.options ? 'fan_out' = (r.chain_position > 1)
                 or not before.options ? 'fan_out' and before.shard <> r.shard",
        )
        .await;
    assert_eq!(chains, json!([]));
    let links = app.count("select max(chain_position) from job_runs").await;
    assert!(links > 1, "no shard was continued");
}

#[rstest]
#[case::answered("msg_parent", &[])]
#[case::two_refused("msg_parent", &[1, 3])]
#[tokio::test]
async fn a_redelivery_publishes_what_is_missing_and_nothing_twice(
    #[case] message: &str,
    #[case] refused: &[usize],
) {
    let connected = Connected::new().await;
    connected
        .qstash
        .fault("POST", BATCH, Fault::Entries(refused.to_vec()));
    let parent = fan_out(4).message(message);

    let first = parent.to(&connected.app).await;

    let expected = if refused.is_empty() {
        (200, "succeeded")
    } else {
        (500, "failed")
    };
    assert_eq!(first.outcome(), expected, "{first:?}");
    assert_eq!(first.results()["shards_published"], 4 - refused.len());
    // Not even when QStash has forgotten the ids: the ledger knows.
    connected.qstash.ten_minutes_pass();
    let again = parent.to(&connected.app).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.results()["shards_published"], 4);
    assert_eq!(shards(&connected), all_of(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn qstash_delivers_a_parent_again_until_every_shard_is_published() {
    let connected = Connected::new().await;
    let app = &connected.app;
    app.stale_orders(50, 3).await;
    connected.qstash.fault("POST", BATCH, Fault::Status(500));
    connected
        .qstash
        .fault("POST", BATCH, Fault::Entries(vec![0]));
    connected.deliver_here().await;
    let parent = fan_out(4);
    let first = parent.to(app).await;
    assert_eq!(first.outcome(), (503, "failed"), "{first:?}");
    assert!(first.headers.contains_key("retry-after"));
    assert_eq!(parent.to(app).await.outcome(), (500, "failed"));
    assert_eq!(parent.to(app).await.outcome(), (200, "succeeded"));
    connected.until_all_is_delivered().await;
    assert_eq!(shards(&connected), all_of(4));
    assert_each_expired_once(app, 50, 0, "after two failures").await;
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_shard() {
    let connected = Connected::new().await;
    connected
        .qstash
        .fault("POST", BATCH, Fault::DisconnectAfterEffect);
    let parent = fan_out(5).to(&connected.app).await;
    assert_eq!(parent.outcome(), (200, "succeeded"), "{parent:?}");
    assert_eq!(shards(&connected), all_of(5));
}

#[rstest]
#[case::expire(JOB, "orders")]
#[case::intents("cleanup-stale-payment-intents", "payment_intents")]
#[case::churn("daily-churn-analysis", "members")]
#[tokio::test(flavor = "multi_thread")]
async fn every_job_that_is_divided_does_the_same_as_in_one(#[case] job: &str, #[case] table: &str) {
    let one = a_bit_of_everything().await;
    let whole = one.app.deliver(job).await;
    assert_eq!(whole.outcome(), (200, "succeeded"), "{whole:?}");
    let many = a_bit_of_everything().await;
    many.deliver_here().await;

    let parent = Delivery::of(job)
        .body(r#"{"fan_out": 5}"#)
        .to(&many.app)
        .await;

    assert_eq!(parent.outcome(), (200, "succeeded"), "{parent:?}");
    many.until_all_is_delivered().await;
    let done = "select count(*) filter (where status = 'succeeded') from job_runs";
    assert_eq!(many.app.count(done).await, 6);
    let kinds = jarvis_cron::jobs::ALL.find(job).unwrap().totals;
    for kind in kinds {
        let sum = format!("select coalesce(sum((results ->> '{kind}')::bigint), 0) from job_runs");
        assert_eq!(
            many.app.count(&sum).await,
            whole.results()[kind].as_i64().unwrap(),
            "{kind} of {table}"
        );
    }
    let most = kinds
        .iter()
        .filter_map(|kind| whole.results()[kind].as_i64())
        .max();
    assert!(most > Some(20), "{whole:?}");
}

/// Work for every job that is divided.
async fn a_bit_of_everything() -> Connected {
    let connected = Connected::new().await;
    let app = &connected.app;
    app.stale_orders(60, 2).await;
    app.open_intents_for_all().await;
    app.execute(
        "update orders set status = 'CANCELED' where order_number in
             (select order_number from orders order by order_number limit 30);
         insert into gyms (name, slug, status) select n, n, 'active' from unnest(array['a', 'b']) n;
         insert into members (gym_id, joined_on, first_name, last_name)
         select id, current_date - 400, 'Zebulon', 'Quartz' from gyms, generate_series(1, 30)",
    )
    .await;
    connected
}

impl App {
    async fn order_count(&self, status: &str) -> i64 {
        self.count(&format!(
            "select count(*) from orders where status = '{status}'"
        ))
        .await
    }
}
