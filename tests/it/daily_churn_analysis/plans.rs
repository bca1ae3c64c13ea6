//! Every statement of the night takes a moment, however the members are spread
//! over gyms, and whether or not the tables were ever analysed: a plan that
//! reads the visits of all for each member takes some ten times as long.

use rstest::rstest;

use super::*;

/// The tables that the job reads.
const TABLES: [&str; 9] = [
    "alerts",
    "conversation_sessions",
    "gyms",
    "member_churn",
    "member_churn_history",
    "member_freezes",
    "members",
    "visit_silences",
    "visits",
];

/// So many gyms with as many members each: a tenth frozen, a tenth thawed, a
/// third of the gyms silent; and scores of which the outcome is owed.
async fn fill(app: &App, gyms: i32, members: i32) {
    for table in TABLES {
        app.execute(&format!(
            "alter table {table} set (autovacuum_enabled = false)"
        ))
        .await;
    }
    app.execute(&format!(
        "insert into gyms (name, slug, status)
         select 'G', 'gym-' || n, 'active' from generate_series(1, {gyms}) n;
         insert into members (gym_id, joined_on, status, frozen_until)
         select id, '2024-01-01',
                case when n % 10 = 0 then 'frozen' else 'active' end,
                case when n % 10 = 1 then date '{TODAY}' - 3 end
           from gyms, generate_series(1, {members}) n;
         insert into visits (gym_id, member_id, checked_in_at)
         select gym_id, id, timestamptz '{TONIGHT}' - n * interval '3 days'
                            - case when hashtext(gym_id::text) % 3 = 0 then interval '9 days'
                                   else (abs(hashtext(id::text)) % 30) * interval '1 day' end
           from members, generate_series(1, 20) n;
         insert into conversation_sessions (gym_id, member_id, sentiment, started_at)
         select gym_id, id, 'neutral', timestamptz '{TONIGHT}' - interval '3 days' from members;
         insert into member_churn_history (member_id, scored_on, gym_id, score, level, model_version)
         select id, date '{TODAY}' - 30 - n, gym_id, 0.5, 'high', 'test'
           from members, generate_series(0, 1) n"
    ))
    .await;
}

#[rstest]
#[tokio::test]
async fn a_night_takes_a_moment_at_every_size(
    #[values((1, 1_000), (100, 10))] (gyms, members): (i32, i32),
    #[values(true, false)] is_analysed: bool,
) {
    let app = App::with(&[
        ("DATABASE_STATEMENT_TIMEOUT_MS", "5000"),
        ("RUN_BUDGET_SECONDS", "50"),
    ])
    .await;
    fill(&app, gyms, members).await;
    if is_analysed {
        app.execute(&format!("analyze {}", TABLES.join(", "))).await;
    }

    let reply = app.analyse(TONIGHT).await;

    let took = reply.body["duration_ms"].as_i64().unwrap();
    println!("{gyms} gyms of {members}, analysed: {is_analysed}: {took} ms");
    let scored = i64::from(gyms * members * 9 / 10);
    assert_eq!(reply.results()["processed"], scored, "{reply:?}");
    assert_eq!(
        reply.results()["outcomes_filled"],
        i64::from(gyms * members * 2)
    );
    assert!(took < 20_000, "{took} ms");
    let again = app.analyse("2025-06-17T02:00:00Z").await;
    let took = again.body["duration_ms"].as_i64().unwrap();
    println!("{gyms} gyms of {members}, analysed: {is_analysed}: {took} ms on the night after");
    assert!(took < 20_000, "{took} ms");
}
