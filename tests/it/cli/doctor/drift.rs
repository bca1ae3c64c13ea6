//! Clocks that were set back, and identities behind their tables.

use std::time::Duration;

use jarvis_cron::database::drift::drift;
use jarvis_cron::database::{Patience, Terms};
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::*;
use crate::database::schema;

const PATIENCE: Patience = Patience {
    acquire: Duration::from_secs(5),
    statement: Duration::from_secs(10),
};

#[tokio::test]
async fn a_clock_that_was_set_back_is_reported() {
    let all = Surroundings::new().await;
    all.app
        .execute(
            "insert into job_leases (job, run_id, expires_at)
             values ('weekly-reports', gen_random_uuid(), now() + interval '1 hour');
             insert into job_runs (id, job, trigger, started_at)
             values (gen_random_uuid(), 'weekly-reports', 'qstash', now() + interval '1 hour')",
        )
        .await;
    let found = doctor(&all.settings(&[])).await;
    found.fails_with(&[]);
    found.warns_of("1 runs are dated in the future, and so are leases of weekly-reports");
}

#[tokio::test]
async fn an_identity_behind_its_table_is_reported_with_the_statement_that_moves_it_on() {
    let all = Surroundings::new().await;
    all.app
        .execute(
            "insert into system_logs (id, log_type, message)
             overriding system value values (7, 'copied', 'with its number')",
        )
        .await;
    let found = doctor(&all.settings(&[])).await;
    found.fails_with(&["system_logs.id would give a number that is taken"]);
    let findings = found.answer["findings"].as_array().unwrap();
    let fix = findings
        .iter()
        .find(|it| it["check"] == "identities")
        .unwrap();
    all.app.execute(fix["mend"].as_str().unwrap()).await;
    doctor(&all.settings(&[])).await.fails_with(&[]);
}

#[tokio::test]
async fn an_identity_that_was_restarted_past_its_table_is_in_order() {
    let all = Surroundings::new().await;
    all.app
        .execute(
            "insert into system_logs (id, log_type, message)
             overriding system value values (7, 'copied', 'with its number');
             alter table system_logs alter column id restart with 8",
        )
        .await;
    doctor(&all.settings(&[])).await.fails_with(&[]);
    all.app
        .execute("alter table system_logs alter column id restart with 7")
        .await;
    let found = doctor(&all.settings(&[])).await;
    found.fails_with(&["system_logs.id would give a number that is taken"]);
}

#[tokio::test]
async fn an_identity_that_the_role_may_not_read_is_neither_behind_nor_in_order() {
    let app = App::new().await;
    let role = format!("reader_{}", Uuid::new_v4().simple());
    app.execute(&format!(
        "create role {role};
         grant usage on schema {schema} to {role};
         grant select on all tables in schema {schema} to {role}",
        schema = schema().name(),
    ))
    .await;
    let options: PgConnectOptions = app.database.direct_url.parse().unwrap();

    let terms = Terms {
        schema: schema(),
        patience: PATIENCE,
    };
    let found = drift(options.options([("role", &role)]), &terms).await;

    app.execute(&format!("drop owned by {role}; drop role {role}"))
        .await;
    let found = found.unwrap();
    assert!(found.identities_behind.is_empty(), "{found:?}");
    let unread = &found.identities_unread;
    assert!(unread.contains(&"system_logs.id".to_owned()), "{found:?}");
}

#[tokio::test]
async fn a_schema_that_was_renamed_is_told_where_functions_look_in_the_old_one() {
    let all = Surroundings::new().await;
    all.app
        .execute("alter function forget_last_sync() set search_path = old, pg_temp")
        .await;
    let found = doctor(&all.settings(&[])).await;
    found.fails_with(&["forget_last_sync looks in another schema"]);
    let mut findings = found.answer["findings"].as_array().unwrap().iter();
    let fix = findings.find(|it| it["check"] == "functions").unwrap();
    all.app.execute(fix["mend"].as_str().unwrap()).await;
    doctor(&all.settings(&[])).await.fails_with(&[]);
}
