//! Runs that are bounded, divided, rehearsed, hindered or killed.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::app::Delivery;
use crate::processes::{Process, until};

/// So many members of one gym, one in ten of whom has stopped coming.
async fn crowd(app: &App, members: i32) -> Uuid {
    let gym = app.gym_in("Europe/Paris").await;
    app.execute(&format!(
        "insert into members (gym_id, joined_on)
         select '{gym}', current_date - 300 from generate_series(1, {members});
         insert into visits (gym_id, member_id, checked_in_at)
         select '{gym}', id, now() - interval '6 hours' - ago * interval '3 days'
           from (select id, row_number() over () as n from members) m,
                generate_series(case when n % 10 = 0 then 20 else 1 end, 40) ago"
    ))
    .await;
    gym
}

#[tokio::test]
async fn a_limit_bounds_the_run_and_the_next_goes_on() {
    let app = App::new().await;
    crowd(&app, 25).await;

    let first = app.operate(CHURN, "limit=10&batch_size=4").await;
    let second = app.operate(CHURN, "").await;

    assert_eq!(first.results()["processed"], 10);
    assert_eq!(second.results()["processed"], 15);
    assert_eq!(
        app.count("select count(*) from member_churn_history").await,
        25
    );
}

#[tokio::test]
async fn shards_divide_the_members_without_overlap() {
    let app = App::new().await;
    crowd(&app, 60).await;
    let mut processed = 0;
    for index in 0..3 {
        let reply = app.operate(CHURN, &format!("shard={index}/3")).await;
        let mine = reply.results()["processed"].as_i64().unwrap();
        assert!((1..60).contains(&mine), "shard {index} scored {mine}");
        assert_eq!(reply.results()["total"], mine);
        processed += mine;
    }
    assert_eq!(processed, 60);
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_gives_exactly_the_counts_of_the_run() {
    let app = App::new().await;
    app.members_of_every_sort().await;
    app.analyse("2025-05-17T02:00:00Z").await;
    app.execute(
        "update members set churn_opt_out = true
          where id = (select member_id from member_churn where level = 'low' limit 1)",
    )
    .await;
    let before = app.checksums().await;

    let dry = app
        .analyse_with(TONIGHT, "&dry_run=true&batch_size=1")
        .await;
    assert_eq!(app.checksums().await, before);
    let real = app.analyse(TONIGHT).await;

    let counts = |reply: &Reply| {
        let mut results = reply.results().clone();
        results.as_object_mut().unwrap().remove("samples");
        results
    };
    assert_eq!(counts(&dry), counts(&real));
    assert_eq!(dry.results()["forgotten"], 1);
    assert_ne!(dry.results()["outcomes_filled"], 0);
    assert_ne!(dry.results()["live_brier"], Value::Null);
    let samples = &dry.results()["samples"];
    assert_eq!(samples["forgotten"].as_array().unwrap().len(), 1);
    assert_eq!(samples["scored"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_member_whom_the_database_refuses_spoils_no_other() {
    let app = App::new().await;
    crowd(&app, 20).await;
    app.execute(
        "create table refused as select id from members limit 1;
         create function refuse() returns trigger language plpgsql as $$
         begin
             if exists (select from refused where id = new.member_id) then
                 raise check_violation using message = 'not this one';
             end if;
             return new;
         end $$;
         create trigger refuse before insert on member_churn for each row execute function refuse();",
    )
    .await;

    let reply = app.deliver(CHURN).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let results = reply.results();
    assert_eq!(
        (&results["processed"], &results["errors"]),
        (&json!(19), &json!(1))
    );
    let failure = results["failures"][0]["error"].as_str().unwrap();
    assert!(failure.contains("not this one"), "{failure}");
    app.execute("drop trigger refuse on member_churn").await;
    let next = app.deliver(CHURN).await;
    assert_eq!(next.results()["processed"], 1);
}

#[tokio::test]
async fn a_row_that_another_transaction_holds_waits_for_the_next_run() {
    let app = App::impatient().await;
    crowd(&app, 3).await;
    app.deliver(CHURN).await;
    app.execute(
        "update member_churn set scored_on = scored_on - 1; delete from member_churn_history",
    )
    .await;
    let mut holder = app.db.begin().await.unwrap();
    sqlx::query("select from member_churn limit 1 for update")
        .execute(&mut *holder)
        .await
        .unwrap();

    let reply = app.deliver(CHURN).await;
    holder.rollback().await.unwrap();
    let next = app.deliver(CHURN).await;

    let results = reply.results();
    assert_eq!(
        (&results["processed"], &results["errors"]),
        (&json!(2), &json!(1)),
        "{reply:?}"
    );
    assert_eq!(next.results()["processed"], 1);
}

#[tokio::test]
async fn a_row_that_another_transaction_holds_keeps_no_other_from_being_forgotten() {
    let app = App::new().await;
    let gym = crowd(&app, 20).await;
    app.scored_before(gym).await;
    app.deliver(CHURN).await;
    app.execute(
        "delete from member_churn_history where score is null;
         update members set churn_opt_out = true",
    )
    .await;
    let mut holder = app.db.begin().await.unwrap();
    // The alert is due whichever it is, because its member's score is free.
    for rows in [
        "member_churn where level = 'low'",
        "member_churn_history",
        "alerts",
    ] {
        let sql = format!("select from {rows} limit 1 for update");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&mut *holder)
            .await
            .unwrap();
    }

    let reply = app.deliver(CHURN).await;
    holder.rollback().await.unwrap();
    let next = app.deliver(CHURN).await;

    let results = reply.results();
    assert_eq!(
        (&results["forgotten"], &results["forgotten_later"]),
        (&json!(19), &json!(3)),
        "{reply:?}"
    );
    assert_eq!(results["alerts_resolved"], 1);
    let results = next.results();
    assert_eq!(
        (&results["forgotten"], &results["forgotten_later"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(results["alerts_resolved"], 1);
    let left = "select count(*) from member_churn_history";
    assert_eq!(app.count(left).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_is_continued_by_the_next() {
    let app = App::with(&[("LEASE_TTL_SECONDS", "1")]).await;
    let gym = crowd(&app, 2_000).await;
    app.scored_before(gym).await;
    // The other half has a first night, and comes first.
    app.execute(
        "insert into gyms (id, name, slug, status)
         values ('00000000-0000-0000-0000-00000000000b', 'B', 'b', 'active');
         update members set gym_id = '00000000-0000-0000-0000-00000000000b'
          where id in (select id from (select id, row_number() over (order by id) as n from members) m
                        where n % 2 = 0)",
    )
    .await;
    let delivery = Delivery::of(CHURN).body(r#"{"batch_size": 10}"#);
    let scored = "select count(*) from member_churn";
    for goal in [100, 500] {
        let process = Process::serve(&app).await;
        let answer = process.redelivering(&delivery);
        until("some are scored", async || app.count(scored).await >= goal).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
        process.kill().await;
        assert!(answer.await.unwrap().is_err());
        let half_done = app
            .count(
                "select (select count(*) from member_churn)
                      - (select count(*) from member_churn_history where score is not null)
                      + (select count(*) from member_churn
                          where level in ('high', 'critical') and gym_id = '00000000-0000-0000-0000-00000000000b')
                      - (select coalesce(sum((details ->> 'high')::int + (details ->> 'critical')::int), 0)
                           from alerts where kind = 'churn_first_night')",
            )
            .await;
        assert_eq!(half_done, 0);
    }

    let process = Process::serve(&app).await;
    let reply = process.address.redeliver(&delivery).await.unwrap();

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    let found = app
        .rows(
            "select (select count(*) from member_churn) as scored,
                    (select count(*) from member_churn_history where score is not null) as noted,
                    (select count(*) from alerts where status = 'open' and kind = 'churn_risk')
                    + (select sum((details ->> 'high')::int + (details ->> 'critical')::int)
                         from alerts where kind = 'churn_first_night') as told,
                    (select count(*) from alerts where kind = 'churn_first_night') as together,
                    (select max(occurrences) from alerts) as bumped,
                    sum((results ->> 'processed')::int) as processed,
                    sum((results ->> 'alerts_opened')::int
                        + (results ->> 'first_night_at_risk')::int) as opened
               from job_runs",
        )
        .await;
    assert_eq!(
        found,
        json!([{ "scored": 2000, "noted": 2000, "told": 200, "together": 1, "bumped": 1,
                 "processed": 2000, "opened": 201 }])
    );
}
