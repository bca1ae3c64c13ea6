//! Settings that a session has from its role or its database, because a pooler
//! drops what the connection asks for: every job comes to the same.

use serde_json::Value;

use super::app_by_a_way;

/// Dublin's summer time is written `IST`, which is read as Israel's: a moment
/// that travels as text comes back an hour earlier.
const FOREIGN: [(&str, &str); 9] = [
    ("datestyle", "'SQL, DMY'"),
    ("timezone", "'Europe/Dublin'"),
    ("intervalstyle", "'sql_standard'"),
    ("extra_float_digits", "-15"),
    ("bytea_output", "'escape'"),
    ("default_transaction_isolation", "'serializable'"),
    ("default_transaction_deferrable", "on"),
    ("lc_messages", "'C'"),
    ("quote_all_identifiers", "on"),
];

/// What every job came to, and what is left of each table, over rows in all of
/// them.
async fn outcome(settings: &[(&str, &str)]) -> Value {
    let (app, way) = app_by_a_way().await;
    app.execute(include_str!("../fixtures/every_table.sql"))
        .await;
    // Stripe knows none of them.
    app.execute("delete from payment_intents").await;
    for (setting, value) in settings {
        app.execute(&format!(
            "do $$ begin
                 execute format('alter database %I set {setting} = ', current_database())
                         || $value${value}$value$;
             end $$"
        ))
        .await;
    }
    way.drop_start_up_parameters();
    let mut outcome = serde_json::Map::new();
    for job in app.runner.jobs.0 {
        let reply = app.operate(job.name, "batch_size=10").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let mut results = reply.body["results"].clone();
        for policy in results["policies"].as_array_mut().into_iter().flatten() {
            policy["cutoff"] = Value::Null;
        }
        outcome.insert(job.name.to_owned(), results);
    }
    for table in [
        "conversation_events",
        "visits",
        "kiosk_heartbeats",
        "alerts",
        "weekly_reports",
    ] {
        let left = app.count(&format!("select count(*) from {table}")).await;
        outcome.insert(table.to_owned(), left.into());
    }
    outcome.into()
}

#[tokio::test]
async fn every_job_comes_to_the_same_whatever_the_session_is_set_to() {
    let usual = outcome(&[]).await;
    let foreign = outcome(&FOREIGN).await;

    assert_eq!(usual, foreign);
}
