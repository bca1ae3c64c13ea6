//! A dry run: the exact plan, and nothing else.

use super::{JOB, MONDAY};
use crate::app::App;

#[tokio::test]
async fn a_dry_run_gives_the_counts_of_the_run_that_follows_and_changes_nothing() {
    let app = App::new().await;
    app.gyms(5).await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    app.busy_week(gym).await;
    app.operate(JOB, &format!("{MONDAY}&gym_id={gym}")).await;
    let before = app.checksums().await;

    let dry = app
        .operate(JOB, &format!("{MONDAY}&dry_run=true&batch_size=2"))
        .await;

    assert_eq!(dry.outcome(), (200, "succeeded"), "{dry:?}");
    assert_eq!(app.checksums().await, before);
    let real = app.operate(JOB, MONDAY).await;
    let mut planned = dry.results().clone();
    let samples = planned.as_object_mut().unwrap().remove("samples").unwrap();
    assert_eq!(planned, *real.results());
    assert_eq!(samples["generated"].as_array().unwrap().len(), 5);
    assert_eq!(planned["unchanged"], 1);
}

#[tokio::test]
async fn a_forced_dry_run_says_which_reports_would_change() {
    let app = App::new().await;
    app.gyms(3).await;
    app.operate(JOB, MONDAY).await;
    app.execute("update weekly_reports set content_hash = 'old' where gym_id = (select min(id::text)::uuid from gyms)").await;
    let before = app.checksums().await;

    let dry = app
        .operate(JOB, &format!("{MONDAY}&dry_run=true&force=true"))
        .await;

    assert_eq!(dry.results()["generated"], 1);
    assert_eq!(dry.results()["unchanged"], 2);
    assert_eq!(app.checksums().await, before);
}
