//! Runs: ledger, lease, fence, replay, budget.

use crate::app::{App, JOB};

#[tokio::test]
async fn a_delivery_runs_the_job_and_is_written_into_the_ledger() {
    let app = App::new().await;
    app.stale_order().await;

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["orders_expired"], 1);
}
