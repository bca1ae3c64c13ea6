//! When a run is not continued: the answer says why, and what happens now.

use super::*;

#[tokio::test]
async fn without_a_token_the_next_tick_goes_on_and_the_answer_says_so() {
    let app = App::with(&[("RUN_BUDGET_SECONDS", "2")]).await;
    app.stale_orders(40, 1).await;
    app.open_intents_for_all().await;
    app.stripe.latency(Duration::from_millis(300));

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(not_continued(&reply), (&json!(false), "no_token"));
    let message = reply.body["message"].as_str().unwrap();
    assert!(
        message.ends_with("the next tick continues: QSTASH_TOKEN is not set"),
        "{message}"
    );
}

#[tokio::test]
async fn a_run_that_did_nothing_is_not_continued() {
    let connected = pressed_for_time().await;
    no_time_for_anything(&connected.app).await;

    let reply = connected.app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 0);
    assert_eq!(not_continued(&reply), (&json!(false), "no_progress"));
    assert_eq!(connected.qstash.calls().len(), 0);
}

#[tokio::test]
async fn a_dry_run_is_not_continued() {
    let connected = pressed_for_time().await;
    a_backlog(&connected, 60).await;
    let reply = Delivery::of(JOB)
        .body(r#"{"dry_run": true}"#)
        .to(&connected.app)
        .await;
    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(not_continued(&reply), (&json!(false), "dry_run"));
    assert_eq!(connected.qstash.calls().len(), 0);
}

#[rstest]
#[case::the_last_but_one(98, true)]
#[case::the_last(99, false)]
#[tokio::test]
async fn a_chain_is_no_longer_than_it_may_be(#[case] before: i32, #[case] goes_on: bool) {
    let connected = pressed_for_time().await;
    a_backlog(&connected, 40).await;
    let id = "01900000-0000-7000-8000-000000000099";
    let insert = format!(
        "insert into job_runs (id, job, trigger, status, chain_position)
         values ('{id}', '{JOB}', 'qstash', 'partial', {before})"
    );
    connected.app.execute(&insert).await;

    let body = format!(r#"{{"continuation_of": "{id}"}}"#);
    let reply = Delivery::of(JOB).body(&body).to(&connected.app).await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    assert_eq!(reply.body["continued"], goes_on, "{reply:?}");
    if !goes_on {
        assert_eq!(reply.body["not_continued"], "capped");
        let message = reply.body["message"].as_str().unwrap();
        assert!(
            message.ends_with("a chain has 100 runs at the most"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_chain_is_not_counted_from_a_run_of_another_job() {
    let connected = Connected::new().await;
    let id = "01900000-0000-7000-8000-000000000099";
    let insert = format!(
        "insert into job_runs (id, job, trigger, status, chain_position)
         values ('{id}', 'weekly-reports', 'qstash', 'partial', 99)"
    );
    connected.app.execute(&insert).await;
    let body = format!(r#"{{"continuation_of": "{id}"}}"#);
    let reply = Delivery::of(JOB).body(&body).to(&connected.app).await;
    let run = connected.run_of(&reply).await;
    assert_eq!(
        (&run["continuation_of"], &run["chain_position"]),
        (&Value::Null, &json!(1))
    );
}

/// Orders that no batch expires in this second, because tidying takes it all.
async fn no_time_for_anything(app: &App) {
    app.stale_orders(2, 1).await;
    app.execute(
        "insert into orders (order_number, status, currency, total_amount)
         values ('settled', 'PAID', 'eur', 1);
         insert into order_expirations (order_id, attempts, next_attempt_at, last_outcome)
         select id, 1, now(), 'paid' from orders where order_number = 'settled';
         create function dawdle() returns trigger language plpgsql as
         $$ begin perform pg_sleep(2.4); return null; end $$;
         create trigger dawdle after delete on order_expirations
            for each statement execute function dawdle()",
    )
    .await;
}
