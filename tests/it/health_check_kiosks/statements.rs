//! What the statements lean on: the new column, and indexes that are used.

use super::seed::{ALWAYS, NOON};
use crate::app::App;

#[tokio::test]
async fn what_stands_open_of_a_batch_of_kiosks_is_found_by_its_partial_index() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    for _ in 0..20 {
        app.kiosk(gym, "offline", "10 days").await;
    }
    app.execute(
        "insert into alerts (kiosk_id, kind, dedup_key, status, title)
         select id, 'kiosk_offline', 'kiosk_offline:' || id, 'resolved', 'x'
           from kiosks, generate_series(1, 2000);
         insert into alerts (kiosk_id, kind, dedup_key, title)
         select id, 'kiosk_offline', 'kiosk_offline:' || id, 'x' from kiosks limit 3;
         analyze alerts",
    )
    .await;

    let plan: Vec<String> = sqlx::query_scalar(
        "explain select a.id
           from kiosks k
           join alerts a on a.kiosk_id = k.id
          where a.kind in ('kiosk_offline', 'kiosk_degraded')
            and a.status in ('open', 'acknowledged')",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();

    let plan = plan.join("\n");
    // Of the kiosks or of the kind: each holds open alerts only.
    assert!(plan.contains("alerts_open_of_ki"), "{plan}");
}

#[tokio::test]
async fn heartbeats_are_counted_in_the_index_alone() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    for _ in 0..20 {
        app.kiosk(gym, "online", "1 second").await;
    }
    app.execute(&format!(
        "insert into kiosk_heartbeats (kiosk_id, received_at)
         select id, at from kiosks, generate_series(
             timestamptz '{NOON}' - interval '7 days', timestamptz '{NOON}', '5 minutes') at"
    ))
    .await;
    app.execute("vacuum analyze kiosk_heartbeats").await;

    let plan: Vec<String> = sqlx::query_scalar(
        "explain select k.id, beats.heard
           from kiosks k
          cross join lateral (
               select count(distinct date_bin('5 minutes', b.received_at, k.created_at)) as heard
                 from kiosk_heartbeats b
                where b.kiosk_id = k.id
                  and b.received_at >= '2026-01-14T11:00:00Z'
                  and b.received_at < '2026-01-15T11:00:00Z'
          ) beats",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();

    let plan = plan.join("\n");
    let index = "Index Only Scan using kiosk_heartbeats_of_kiosk";
    assert!(plan.contains(index), "{plan}");
}

#[tokio::test]
async fn an_uptime_is_a_share() {
    let app = App::new().await;
    let gym = app.gym(ALWAYS).await;
    app.kiosk(gym, "online", "1 second").await;
    for impossible in ["-0.1", "1.1", "'NaN'"] {
        let set = format!("update kiosks set uptime = {impossible}");
        let refused = sqlx::query(sqlx::AssertSqlSafe(set)).execute(&app.db).await;
        assert!(refused.is_err(), "accepted: {impossible}");
    }
}
