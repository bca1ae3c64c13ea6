//! A dry run: the exact plan, and nothing else.

use serde_json::{Value, json};

use super::{JOB, MEMBER, TARGETS, a_backlog, counts, fill, logged};
use crate::app::App;

/// Some of it held, some of it failing, a member to be anonymised.
async fn a_bit_of_everything() -> App {
    let app = a_backlog().await;
    app.execute(&format!(
        "insert into legal_holds (subject_type, subject_id, reason)
         values ('member', '{MEMBER}', 'x');
         update retention_policies set keep_days = 0 where target = 'alerts';
         update retention_policies set enabled = false where target = 'job_runs';
         update conversation_sessions set member_id = '{MEMBER}'
          where id in (select id from conversation_sessions where ended_at is not null limit 2)"
    ))
    .await;
    app
}

#[tokio::test]
async fn a_dry_run_changes_nothing_but_its_own_row_in_the_ledger() {
    let app = a_bit_of_everything().await;
    let before = app.checksums().await;
    let runs = app.count("select count(*) from job_runs").await;

    let reply = app.operate(JOB, "dry_run=true&batch_size=3").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert!(reply.results()["rows_erased"].as_i64() > Some(0));
    assert_eq!(app.checksums().await, before);
    assert_eq!(app.count("select count(*) from job_runs").await, runs + 1);
}

#[tokio::test]
async fn a_dry_run_gives_exactly_the_results_of_the_run_that_follows() {
    let app = a_bit_of_everything().await;

    let plan = app.operate(JOB, "dry_run=true&batch_size=3").await;
    let real = app.operate(JOB, "batch_size=4").await;

    let comparable = |results: &Value| {
        let mut results = results.clone();
        results.as_object_mut().unwrap().remove("samples");
        for policy in results["policies"].as_array_mut().unwrap() {
            policy["cutoff"] = Value::Null;
        }
        results
    };
    assert_eq!(comparable(plan.results()), comparable(real.results()));
    assert_eq!(plan.results()["policies_failed"], 1);
    assert_eq!(counts(&plan, "visits"), json!([0, 0, 10]));
}

#[tokio::test]
async fn a_dry_run_names_fifty_ids_of_each_policy_at_the_most() {
    let app = a_backlog().await;
    fill(&app, 60).await;

    let reply = app.operate(JOB, "dry_run=true&batch_size=20").await;

    for target in TARGETS {
        let ids = reply.results()["samples"][target].as_array().unwrap();
        assert_eq!(ids.len(), 50, "{target}");
    }
    let real = app.deliver(JOB).await;
    assert!(real.results().get("samples").is_none(), "{real:?}");
    assert_eq!(logged(&app, "visits").await, 70);
}

#[tokio::test]
async fn a_dry_run_stops_at_ten_thousand_rows_of_a_policy_and_counts_the_rest() {
    let app = a_backlog().await;
    app.execute(&super::rows_of(
        "kiosk_heartbeats",
        "(now() - interval '2 years')",
        10_490,
    ))
    .await;

    let reply = app.operate(JOB, "dry_run=true").await;

    assert_eq!(counts(&reply, "kiosk_heartbeats"), json!([10_000, 500, 0]));
}
