//! A dry run: the exact plan, and nothing else.

use serde_json::Value;

use super::seed::{ALWAYS, JOB, NOON};
use crate::app::App;

fn without_samples(results: &Value) -> Value {
    let mut results = results.clone();
    results.as_object_mut().unwrap().remove("samples");
    results
}

#[tokio::test]
async fn a_dry_run_gives_exactly_the_results_of_the_run_that_follows() {
    let app = App::new().await;
    app.a_fleet_of_every_kind().await;
    let before = app.checksums().await;

    let dry = app
        .operate(JOB, &format!("as_of={NOON}&dry_run=true&batch_size=3"))
        .await;
    assert_eq!(dry.outcome(), (200, "succeeded"), "{dry:?}");
    assert_eq!(app.checksums().await, before);
    let real = app.check(NOON).await;

    assert_eq!(without_samples(dry.results()), real);
    for count in [
        "status_changed",
        "alerts_opened",
        "alerts_resolved",
        "alerts_escalated",
    ] {
        assert_ne!(real[count], 0, "{count}");
        let samples = dry.results()["samples"][count].as_array().unwrap();
        assert_eq!(
            samples.len(),
            usize::try_from(real[count].as_u64().unwrap()).unwrap()
        );
    }
}

#[tokio::test]
async fn a_dry_run_names_fifty_at_the_most() {
    let app = App::new().await;
    for _ in 0..70 {
        let gym = app.gym(ALWAYS).await;
        app.kiosk(gym, "offline", "1 second").await;
    }

    let dry = app
        .operate(JOB, &format!("as_of={NOON}&dry_run=true"))
        .await;

    assert_eq!(dry.results()["status_changed"], 70);
    let samples = &dry.results()["samples"]["status_changed"];
    assert_eq!(samples.as_array().unwrap().len(), 50);
}
