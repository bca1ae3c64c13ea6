//! Crashes at both ends of a run: while it begins, and while it is settled.

use super::*;

/// The last statement of a settlement.
const TOTALS: &str = "insert into job_run_totals";

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_a_settlement_is_kept_is_a_503_and_the_redelivery_does_it_all(
    #[values(
        Work::Orders,
        Work::Intents,
        Work::Members,
        Work::Kiosks,
        Work::OldRows,
        Work::Reports
    )]
    work: Work,
) {
    let stage = Stage::new(work, Seen::ABreak).await;
    let totals = stage.to_postgres.close_at(TOTALS, 1, Side::Call);
    let delivery = stage.delivery();

    let (first, undid) = stage.deliver_into_a_crash(&delivery, &totals, 1).await;

    // Mails are noted before their run ends; what is lost then is their count.
    assert!(undid || work == Work::Reports, "the crash undid nothing");
    assert_is_to_come_back(&first);
    finish(&stage, &delivery, first, "succeeded").await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_after_a_settlement_undoes_nothing_though_its_answer_is_lost(
    #[values(
        Work::Orders,
        Work::Intents,
        Work::Members,
        Work::Kiosks,
        Work::OldRows,
        Work::Reports
    )]
    work: Work,
) {
    let stage = Stage::new(work, Seen::NoAnswer).await;
    let held = stage.to_postgres.close_at(TOTALS, 1, Side::Answer);
    let delivery = stage.delivery();

    let (first, undid) = stage.deliver_into_a_crash(&delivery, &held, 0).await;

    assert!(!undid, "a crash undid what was settled");
    assert_eq!(first.outcome(), (200, "succeeded"), "{first:?}");
    finish(&stage, &delivery, first, "replayed").await;
}

/// Its lease is held until it runs out, where the crash did not undo it.
#[rstest]
#[case::undone(Side::Call, Seen::ABreak, &["succeeded"])]
#[case::kept(Side::Answer, Seen::NoAnswer, &["abandoned", "succeeded"])]
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_a_run_begins_is_a_503_and_the_redelivery_does_it_all(
    #[case] side: Side,
    #[case] seen: Seen,
    #[case] statuses: &[&str],
    #[values(Work::Orders, Work::Reports)] work: Work,
) {
    let mut stage = Stage::new(work, seen).await;
    stage.app.runner.settings.lease_ttl = Duration::from_secs(1);
    stage.open_for_calls();
    let held = stage.to_postgres.close_at("insert into job_runs", 1, side);
    let delivery = stage.delivery();
    let open = i64::from(side == Side::Call);

    let (first, _) = stage.deliver_into_a_crash(&delivery, &held, open).await;

    assert_eq!(first.status, 503, "{first:?}");
    assert!(first.headers.contains_key("retry-after"), "{first:?}");
    let mut answers = stage.redeliver(&delivery).await;
    let last = answers.last().unwrap();
    assert_eq!(last.outcome(), (200, "succeeded"), "{last:?}");
    let found: Vec<String> =
        sqlx::query_scalar("select status from job_runs where status <> 'skipped' order by id")
            .fetch_all(&stage.app.db)
            .await
            .unwrap();
    assert_eq!(found, statuses);
    answers.retain(|answer| answer.status == 200);
    assert_all_agree(&stage, &answers).await;
    assert_all_is_done_once(&stage).await;
}

/// Whatever the server, the database or the role is set to.
#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_waits_for_the_disk_where_commits_do_not_by_default() {
    let stage = Stage::new(Work::Orders, Seen::NoAnswer).await;
    for write in [
        "alter system set synchronous_commit = off",
        "select pg_reload_conf()",
    ] {
        stage.app.execute(write).await;
    }
    let held = stage.to_postgres.close_at(TOTALS, 1, Side::Answer);
    let delivery = stage.delivery();

    let (first, undid) = stage.deliver_into_a_crash(&delivery, &held, 0).await;

    assert!(!undid, "a crash undid what was settled");
    assert_eq!(first.outcome(), (200, "succeeded"), "{first:?}");
    finish(&stage, &delivery, first, "replayed").await;
}
