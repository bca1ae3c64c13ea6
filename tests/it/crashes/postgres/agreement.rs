//! What must be true after a crash, in the middle and at the end: the tables,
//! the ledger, the totals, the log and the answers tell the same.

use std::collections::BTreeMap;

use jarvis_cron::jobs;
use serde_json::{Value, json};

use super::stage::Stage;
use super::work::Work;
use crate::app::{App, Reply};

/// Whatever these answers said, and the tables, ledger, totals and log say,
/// is the same.
pub(super) async fn assert_all_agree(stage: &Stage, answers: &[Reply]) {
    let app = &stage.app;
    assert_answers_are_the_ledgers(app, answers).await;
    assert_each_run_is_logged_and_counted_once(app).await;
    let kinds = jobs::ALL.find(stage.work.job()).unwrap().totals;
    assert_totals_are_the_ledgers(app, kinds).await;
    for effect in stage.work.effects() {
        let shown = app.count(&format!("select {}", effect.shown)).await;
        let mut counted = 0;
        for kind in effect.counts {
            counted += counted_by_all_runs(app, kind).await;
        }
        assert_eq!(shown, counted, "{}: {:?}", effect.shown, effect.counts);
    }
}

/// All work is done, here and outside, once.
pub(super) async fn assert_all_is_done_once(stage: &Stage) {
    for effect in stage.work.effects() {
        let shown = stage.app.count(&format!("select {}", effect.shown)).await;
        assert_eq!(shown, effect.all, "{}", effect.shown);
    }
    match stage.work {
        Work::Orders | Work::Intents => {
            let effects = stage.app.stripe.cancel_effects();
            assert_eq!(effects.len(), 6, "{effects:?}");
            assert!(effects.values().all(|times| *times == 1), "{effects:?}");
        }
        Work::Reports => {
            let mut times = BTreeMap::<String, usize>::new();
            for mail in stage.resend.sent() {
                *times.entry(mail.to).or_default() += 1;
            }
            assert_eq!(times.len(), 12, "{times:?}");
            assert!(times.values().all(|times| *times == 1), "{times:?}");
        }
        _ => {}
    }
}

async fn counted_by_all_runs(app: &App, kind: &str) -> i64 {
    let sum = format!("select coalesce(sum((results ->> '{kind}')::bigint), 0) from job_runs");
    app.count(&sum).await
}

/// An answer repeats what the ledger has; a refusal names no run.
async fn assert_answers_are_the_ledgers(app: &App, answers: &[Reply]) {
    for answer in answers {
        let body = &answer.body;
        let Some(id) = body["run_id"].as_str() else {
            assert_eq!(answer.status, 503, "{answer:?}");
            continue;
        };
        let run = app
            .rows(&format!(
                "select status, results from job_runs where id = '{id}'"
            ))
            .await;
        assert_eq!(run[0]["results"], body["results"], "{answer:?}");
        if body["status"] != "replayed" {
            assert_eq!(run[0]["status"], body["status"], "{answer:?}");
        }
    }
}

/// No run is still running, each has one line in the log, which says the same,
/// and each is in the totals.
async fn assert_each_run_is_logged_and_counted_once(app: &App) {
    let odd = app
        .rows(
            "select r.id, r.status, r.counted, r.results, jsonb_agg(l.details) as logged
               from job_runs r
               left join system_logs l on l.run_id = r.id
              group by r.id
             having r.status = 'running'
                 or not r.counted
                 or count(l.id) <> 1
                 or bool_or(l.details ->> 'status' <> r.status or l.details -> 'results' <> r.results)",
        )
        .await;
    assert_eq!(odd, json!([]));
}

/// Only this job has run.
async fn assert_totals_are_the_ledgers(app: &App, kinds: &[&str]) {
    let mut expected = BTreeMap::new();
    for kind in kinds {
        expected.insert(*kind, counted_by_all_runs(app, kind).await);
    }
    let totals = app
        .rows("select jsonb_object_agg(kind, total) as of from job_totals")
        .await;
    let total = |kind: &str| totals[0]["of"][kind].as_i64().unwrap_or_default();
    let found: BTreeMap<&str, i64> = kinds.iter().map(|kind| (*kind, total(kind))).collect();
    assert_eq!(found, expected);
    let by_status = |from| {
        let sql = format!("select jsonb_object_agg(status, runs) as of from ({from}) r");
        async move { app.rows(&sql).await[0]["of"].clone() }
    };
    let counted: Value = by_status("select status, runs from job_run_totals").await;
    let ledger = by_status("select status, count(*) as runs from job_runs group by status").await;
    assert_eq!(counted, ledger);
}
