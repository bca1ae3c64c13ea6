//! Clocks that were set back, and identities behind their tables.

use super::*;

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
