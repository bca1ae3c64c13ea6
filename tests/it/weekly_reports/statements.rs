//! What the job asks of the database: as much for one gym as for hundreds,
//! and through its indexes.

use std::process::Command;

use sqlx::AssertSqlSafe;

use crate::app::App;

/// How many statements a run of the job sends, by its own log.
fn statements(app: &App) -> usize {
    let output = Command::new(env!("CARGO_BIN_EXE_jarvis-cron"))
        .args(["run", "weekly-reports", "--as-of", "2025-02-03T05:00:00Z"])
        .env_clear()
        .envs(&app.settings)
        .env("RUST_LOG", "sqlx::query=debug")
        .env("LOG_FORMAT", "json")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let log = String::from_utf8(output.stderr).unwrap();
    log.lines()
        .filter(|line| line.contains("\"db.statement\""))
        .count()
}

#[tokio::test]
async fn hundreds_of_gyms_take_as_many_statements_as_one() {
    let (one, many) = (App::new().await, App::new().await);
    one.gyms(1).await;
    many.gyms(150).await;

    let (for_one, for_many) = (statements(&one), statements(&many));

    assert_eq!(many.count("select count(*) from weekly_reports").await, 150);
    assert!(for_one > 10, "{for_one}");
    assert_eq!(for_one, for_many);
}

#[tokio::test]
async fn the_visits_of_a_week_are_read_from_their_index_alone() {
    let app = App::new().await;
    app.gyms(50).await;
    app.execute(
        "insert into members (gym_id) select id from gyms, generate_series(1, 20);
         insert into visits (gym_id, member_id, checked_in_at)
         select gym_id, id, timestamptz '2025-02-02' - n * interval '17 hours'
           from members, generate_series(1, 100) n",
    )
    .await;
    app.execute("vacuum analyze visits").await;
    let mut sql = include_str!("../../../src/jobs/weekly_reports/queries/visits.sql").to_owned();
    for (parameter, column, kind) in [
        ("$1", "id", "uuid"),
        ("$2", "timezone", "text"),
        ("$3", "timestamptz '2025-01-19T23:00Z'", "timestamptz"),
        ("$4", "timestamptz '2025-01-26T23:00Z'", "timestamptz"),
        ("$5", "timestamptz '2025-02-02T23:00Z'", "timestamptz"),
        ("$6", "date '2025-01-27'", "date"),
    ] {
        let all = format!("(select array_agg({column} order by id) from gyms)");
        sql = sql.replace(&format!("{parameter}::{kind}[]"), &all);
    }

    let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("explain {sql}")))
        .fetch_all(&app.db)
        .await
        .unwrap();

    let plan = plan.join("\n");
    assert!(
        plan.contains("Index Only Scan using visits_of_gym on visits"),
        "{plan}"
    );
}
