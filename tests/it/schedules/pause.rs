//! `schedules list`, `pause` and `resume`.

use super::*;

#[tokio::test]
async fn every_schedule_is_listed_ours_first() {
    let qstash = Qstash::applied().await;
    qstash
        .made_by_hand("a-stranger", "https://else.test/hook", "0 5 * * *")
        .await;
    qstash.run(&["pause", "weekly-reports"]).await;

    let table = qstash.run(&["list"]).await;
    let listed = qstash.run(&["list", "--json"]).await.json();

    assert_eq!((table.code, &*table.err), (Some(0), ""), "{table:?}");
    for part in [
        "paused",
        "active, foreign",
        "https://else.test/hook",
        "CRON_TZ=Europe/Paris 0 6,20 * * 1",
    ] {
        assert!(
            table.out.contains(part),
            "{part:?} is not in\n{}",
            table.out
        );
    }
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 7);
    assert_eq!(listed[6]["id"], "a-stranger");
    assert_eq!(
        (&listed[6]["is_ours"], &listed[6]["destination"]),
        (&json!(false), &json!("https://else.test/hook"))
    );
    assert_eq!(listed[5]["is_paused"], true);
    assert!(listed[5]["next_at"].is_string());
}

#[tokio::test]
async fn an_account_without_schedules_has_an_empty_list() {
    let qstash = Qstash::new().await;
    let listed = qstash.run(&["list", "--json"]).await;
    assert_eq!((listed.code, listed.json()), (Some(0), json!([])));
}

#[tokio::test]
async fn a_schedule_is_paused_and_resumed_by_its_job_or_its_id() {
    let qstash = Qstash::applied().await;

    let paused = qstash.run(&["pause", "weekly-reports", CHURN]).await;
    assert_eq!(paused.code, Some(0), "{paused:?}");
    assert!(
        paused.out.contains("jarvis-daily-churn is paused"),
        "{paused:?}"
    );
    assert!(qstash.is_paused(REPORTS) && qstash.is_paused(CHURN));
    let again = qstash.run(&["pause", "weekly-reports", "--json"]).await;
    assert_eq!(again.json(), json!([{ "id": REPORTS, "is_paused": true }]));

    let resumed = qstash.run(&["resume", REPORTS]).await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert!(!qstash.is_paused(REPORTS) && qstash.is_paused(CHURN));
}

#[rstest]
#[case::a_stranger("scd_5xyz")]
#[case::a_path("jarvis-x/../../messages")]
#[case::a_query("jarvis-x?a=b")]
#[case::nothing("")]
#[tokio::test]
async fn what_is_not_ours_is_neither_paused_nor_resumed(#[case] name: &str) {
    let qstash = Qstash::applied().await;
    qstash
        .made_by_hand("scd_5xyz", "https://else.test/hook", "0 5 * * *")
        .await;
    let from = qstash.double.calls().len();
    for command in ["pause", "resume"] {
        let done = qstash.run(&[command, "weekly-reports", name]).await;
        assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
    }
    assert_eq!(qstash.writes(from), Vec::<String>::new());
}

#[tokio::test]
async fn one_that_qstash_does_not_have_fails_and_the_others_are_done() {
    let qstash = Qstash::applied().await;
    let done = qstash.run(&["pause", "jarvis-gone", REPORTS]).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.err.contains("jarvis-gone: QStash does not know it"),
        "{done:?}"
    );
    assert!(qstash.is_paused(REPORTS));
}

#[tokio::test]
async fn a_token_that_may_only_read_cannot_pause() {
    let qstash = Qstash::applied().await;
    let token = jarvis_cron::demo::qstash_double::READ_ONLY_TOKEN;
    let done = qstash
        .run_with("QSTASH_TOKEN", token, &["pause", REPORTS])
        .await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.err.contains("set QSTASH_TOKEN to one that may write"),
        "{done:?}"
    );
    assert!(!qstash.is_paused(REPORTS));
}

#[tokio::test]
async fn whatever_the_plan_calls_ours_can_be_paused() {
    let qstash = Qstash::applied().await;
    let id = "jarvis-old_job.1";
    qstash
        .made_by_hand(id, "https://cron.example.test/api/cron/old", "0 5 * * *")
        .await;

    let done = qstash.run(&["pause", id]).await;

    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(qstash.is_paused(id));
    assert_eq!(qstash.run(&["pause", "jarvis-"]).await.code, Some(2));
}
