//! Dry runs side by side: each holds a connection for as long as it lasts.

use futures::future::join_all;
use jarvis_cron::jobs;

use crate::app::App;

#[tokio::test(flavor = "multi_thread")]
async fn dry_runs_wait_for_one_another_and_not_for_each_others_connections() {
    let app = App::with(&[
        ("DATABASE_MAX_CONNECTIONS", "3"),
        ("DATABASE_ACQUIRE_TIMEOUT_MS", "1000"),
    ])
    .await;
    app.stale_orders(300, 1).await;
    let names: Vec<&str> = jobs::ALL.iter().map(|job| job.name).collect();

    let dry_runs = names.iter().map(|job| app.operate(job, "dry_run=true"));
    let replies = join_all(dry_runs).await;

    for reply in replies {
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    }
}
