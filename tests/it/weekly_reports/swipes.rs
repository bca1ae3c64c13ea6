//! What the week counts as one visit.

use serde_json::json;

use super::{JOB, MONDAY};
use crate::app::App;

#[tokio::test]
async fn swipes_of_one_member_within_a_minute_are_one_visit() {
    let app = App::new().await;
    let gym = app.gym_called("lyon", "Europe/Paris").await;
    let (ada, bob) = (app.member(gym).await, app.member(gym).await);
    for at in [
        // Twice and three times, each within a minute of the one before; twice at once.
        "2025-01-28T10:00:00Z",
        "2025-01-28T10:00:01Z",
        "2025-01-28T11:00:00Z",
        "2025-01-28T11:00:50Z",
        "2025-01-28T11:01:40Z",
        "2025-01-28T12:00:00Z",
        "2025-01-28T12:00:00Z",
        // More than a minute apart.
        "2025-01-29T10:00:00Z",
        "2025-01-29T10:01:01Z",
        // Begun before the week, and so of the week before.
        "2025-01-26T22:59:40Z",
        "2025-01-26T23:00:20Z",
        // Begun before that week.
        "2025-01-19T22:59:40Z",
        "2025-01-19T23:00:20Z",
    ] {
        app.visit(gym, ada, at).await;
    }
    app.visit(gym, bob, "2025-01-28T10:00:01Z").await;

    app.operate(JOB, MONDAY).await;

    let metrics = &app.report(gym).await["metrics"];
    assert_eq!(
        metrics["visits"],
        json!({ "value": 6, "previous": 1, "change": 5.0 })
    );
    assert_eq!(
        metrics["unique_visitors"],
        json!({ "value": 2, "previous": 1, "change": 1.0 })
    );
    assert_eq!(metrics["visits_by_hour"][1][11], 2);
}
