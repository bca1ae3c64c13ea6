//! A night takes a moment however many kiosks and old alerts there are, and
//! whether or not the tables were ever analysed.

use rstest::rstest;

use super::seed::JOB;
use crate::app::App;

/// The tables that the job reads.
const TABLES: &str = "alerts, gyms, kiosk_heartbeats, kiosk_maintenances, kiosks";

/// So many kiosks in gyms of five, a third of them silent, and old alerts of
/// theirs in every state: four of five resolved, half of these for a gym's own.
async fn fill(app: &App, kiosks: i32, alerts: i32) {
    for table in TABLES.split(", ") {
        app.execute(&format!(
            "alter table {table} set (autovacuum_enabled = false)"
        ))
        .await;
    }
    app.execute(&format!(
        "insert into gyms (name, slug, status)
         select 'Gym ' || n, 'gym-' || n, 'active' from generate_series(1, {kiosks} / 5) n;
         insert into kiosks (id, gym_id, slug, name, status, status_since, created_at, last_heartbeat_at)
         select md5(slug || n)::uuid, id, slug || '-' || n, 'Kiosk', 'online', now() - interval '10 days',
                now() - interval '1 year',
                now() - case when hashint4(row_number() over ()::int) % 3 = 0 then interval '2 hours' else '1 second' end
           from gyms, generate_series(1, 5) n;
         insert into kiosk_heartbeats (kiosk_id, received_at)
         select id, last_heartbeat_at - n * interval '50 minutes' from kiosks, generate_series(0, 30) n;
         insert into alerts (kind, dedup_key, gym_id, kiosk_id, title, status, opened_at, last_seen_at,
                             resolved_at, details)
         select 'kiosk_offline', 'kiosk_offline:' || id, gym_id, id, 'x',
                case when old < {kiosks} / 5 then 'open' when old % 5 = 0 then 'dismissed' else 'resolved' end,
                now() - interval '9 days', now() - interval '8 days',
                case when old >= {kiosks} / 5 and old % 5 > 0 then now() - interval '8 days' end,
                case when old % 2 = 0 then '{{\"superseded_by\": \"gym_offline\"}}' else '{{}}' end::jsonb
           from (select *, row_number() over (order by id) - 1 as place from kiosks) kiosks
           join generate_series(0, {alerts} - 1) old on old % {kiosks} = place;"
    ))
    .await;
}

/// The smallest size and the hardest.
#[rstest]
#[tokio::test]
async fn a_night_takes_a_moment_at_every_size(
    #[values((1_000, 0), (8_000, 20_000))] size: (i32, i32),
    #[values(true, false)] is_analysed: bool,
) {
    let (kiosks, alerts) = size;
    let app = App::with(&[
        ("DATABASE_STATEMENT_TIMEOUT_MS", "5000"),
        ("RUN_BUDGET_SECONDS", "50"),
    ])
    .await;
    fill(&app, kiosks, alerts).await;
    if is_analysed {
        app.execute(&format!("analyze {TABLES}")).await;
    }

    let reply = app.deliver(JOB).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let results = reply.results();
    assert_eq!(results["total"], kiosks, "{reply:?}");
    let silent = app
        .count("select count(*) from kiosks where last_heartbeat_at < now() - interval '1 hour'")
        .await;
    assert_eq!(results["offline"], silent, "{reply:?}");
    assert_eq!(results["status_changed"], silent, "{reply:?}");
    let took = reply.body["duration_ms"].as_i64().unwrap();
    println!("{kiosks:>6} kiosks, {alerts:>6} alerts, analysed: {is_analysed:<5} {took:>6} ms");
    assert!(
        took < 20_000,
        "{took} ms for {kiosks} kiosks and {alerts} alerts"
    );
}
