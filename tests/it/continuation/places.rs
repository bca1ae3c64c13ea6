//! Each job, cut short again and again: a chain does its work once, and ends.

use super::*;

/// A statement of this kind on this table takes longer.
async fn slow(app: &App, event: &str, table: &str) {
    app.execute(&format!(
        "create or replace function dawdle() returns trigger language plpgsql as
         $$ begin perform pg_sleep(0.8); return null; end $$;
         create trigger dawdle after {event} on {table}
            for each statement execute function dawdle()"
    ))
    .await;
}

async fn deliver(connected: &Connected, job: &str, body: &str) -> Vec<Reply> {
    let mut first = Delivery::of(job).body(body).to(&connected.app).await;
    // On a busy machine a run may have no time to begin.
    while first.body["not_continued"] == "no_progress" {
        first = Delivery::of(job).body(body).to(&connected.app).await;
    }
    assert_eq!(first.outcome(), (200, "partial"), "{first:?}");
    let replies = connected.follow(first).await;
    let end = replies.last().map(Reply::outcome);
    assert_eq!(end, Some((200, "succeeded")), "{replies:#?}");
    replies
}

fn sum(replies: &[Reply], kind: &str) -> i64 {
    let counts = replies.iter().map(|reply| &reply.results()[kind]);
    counts.map(|count| count.as_i64().unwrap()).sum()
}

async fn gyms(app: &App, count: i32) {
    app.execute(&format!(
        "insert into gyms (name, slug, status, created_at)
         select 'Gym ' || n, 'gym-' || n, 'active', '2020-01-01' from generate_series(1, {count}) n"
    ))
    .await;
}

#[tokio::test]
async fn forced_scores_are_made_again_once_each() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    gyms(app, 2).await;
    app.execute(
        "insert into members (gym_id, joined_on, first_name, last_name)
         select id, current_date - 400, 'Zebulon', 'Quartz' from gyms, generate_series(1, 6);
         insert into visits (gym_id, member_id, checked_in_at)
         select gym_id, id, now() - n * interval '3 days' from members, generate_series(1, 9) n",
    )
    .await;
    let job = "daily-churn-analysis";
    assert_eq!(app.deliver(job).await.results()["processed"], 12);
    slow(app, "insert", "member_churn_history").await;

    let replies = deliver(&connected, job, r#"{"force": true, "batch_size": 2}"#).await;

    assert_eq!(sum(&replies, "processed"), 12, "{replies:#?}");
}

#[tokio::test]
async fn forced_reports_are_made_again_once_each() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    gyms(app, 12).await;
    let job = "weekly-reports";
    assert_eq!(app.deliver(job).await.results()["generated"], 12);
    slow(app, "insert", "weekly_reports").await;

    let replies = deliver(&connected, job, r#"{"force": true, "batch_size": 2}"#).await;

    assert_eq!(sum(&replies, "total"), 12, "{replies:#?}");
    assert_eq!(sum(&replies, "unchanged"), 12, "{replies:#?}");
}

#[tokio::test]
async fn kiosks_are_judged_and_measured_once_each() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    gyms(app, 6).await;
    app.execute(
        "insert into kiosks (gym_id, slug, name, status, created_at, last_heartbeat_at)
         select id, slug, name, 'online', '2020-01-01', now() from gyms;
         insert into kiosk_heartbeats (kiosk_id, received_at)
         select id, last_heartbeat_at from kiosks",
    )
    .await;
    slow(app, "update", "kiosks").await;

    let replies = deliver(&connected, "health-check-kiosks", r#"{"batch_size": 1}"#).await;

    assert_eq!(sum(&replies, "total"), 6, "{replies:#?}");
    assert_eq!(
        app.count("select count(*) from kiosks where uptime is not null")
            .await,
        6
    );
}

#[tokio::test]
async fn rows_that_another_transaction_holds_are_passed_once_in_a_chain() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    gyms(app, 1).await;
    old_heartbeats(app, 14).await;
    let mut held = app.db.begin().await.unwrap();
    sqlx::query("select from kiosk_heartbeats order by received_at limit 2 for update")
        .execute(&mut *held)
        .await
        .unwrap();
    slow(app, "delete", "kiosk_heartbeats").await;

    let replies = deliver(&connected, "cleanup-old-data", r#"{"batch_size": 2}"#).await;

    assert_eq!(sum(&replies, "rows_erased"), 12, "{replies:#?}");
    let last = replies.last().unwrap().results()["policies"]
        .as_array()
        .unwrap();
    let beats = last.iter().find(|one| one["target"] == "kiosk_heartbeats");
    assert_eq!(beats.unwrap()["remaining"], 2, "{replies:#?}");
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn a_limit_of_a_policy_is_one_for_the_whole_chain() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    gyms(app, 1).await;
    old_heartbeats(app, 20).await;
    slow(app, "delete", "kiosk_heartbeats").await;

    let body = r#"{"batch_size": 2, "limit": 10}"#;
    let replies = deliver(&connected, "cleanup-old-data", body).await;

    assert_eq!(sum(&replies, "rows_erased"), 10, "{replies:#?}");
}

#[tokio::test]
async fn an_intent_that_is_always_refused_keeps_no_chain_going() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    a_backlog(&connected, 30).await;
    app.execute(
        "update orders set status = 'CANCELED';
         create function refuse() returns trigger language plpgsql as
         $$ begin raise check_violation using message = 'refused'; end $$;
         create trigger refuse before update on payment_intents for each row
           when (old.id = '00000000-0000-0000-0000-000000000001') execute function refuse();
         update payment_intents set id = '00000000-0000-0000-0000-000000000001'
          where id = (select min(id::text)::uuid from payment_intents)",
    )
    .await;

    let job = "cleanup-stale-payment-intents";
    let replies = deliver(&connected, job, r#"{"batch_size": 3}"#).await;

    assert_eq!(
        sum(&replies, "payment_intents_canceled"),
        29,
        "{replies:#?}"
    );
    let open = "select count(*) from payment_intents where status <> 'canceled'";
    assert_eq!(app.count(open).await, 1);
}

#[tokio::test]
async fn a_limit_is_one_for_the_whole_chain() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    a_backlog(&connected, 60).await;

    let replies = deliver(&connected, JOB, r#"{"limit": 40, "batch_size": 4}"#).await;

    assert_eq!(sum(&replies, "orders_expired"), 40, "{replies:#?}");
    assert_eq!(
        app.count("select count(*) from orders where status = 'EXPIRED'")
            .await,
        40
    );
}

#[tokio::test]
async fn a_limit_of_reports_is_one_for_the_whole_chain() {
    let connected = pressed_for_time().await;
    gyms(&connected.app, 12).await;
    slow(&connected.app, "insert", "weekly_reports").await;

    let body = r#"{"limit": 9, "batch_size": 2}"#;
    let replies = deliver(&connected, "weekly-reports", body).await;

    assert_eq!(sum(&replies, "generated"), 9, "{replies:#?}");
}

#[tokio::test]
async fn a_moment_that_is_replayed_is_replayed_by_the_whole_chain() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    gyms(app, 2).await;
    app.execute(
        "insert into members (gym_id, joined_on, first_name, last_name, created_at)
         select id, '2025-01-01', 'Zebulon', 'Quartz', '2025-01-01' from gyms, generate_series(1, 6)",
    )
    .await;
    slow(app, "insert", "member_churn_history").await;

    let body = r#"{"as_of": "2025-06-16T00:00:00Z", "batch_size": 2}"#;
    let replies = deliver(&connected, "daily-churn-analysis", body).await;

    assert_eq!(sum(&replies, "processed"), 12, "{replies:#?}");
    let days = "select count(distinct scored_on) from member_churn_history";
    assert_eq!(app.count(days).await, 1);
}

#[tokio::test]
async fn a_place_is_not_taken_up_with_other_options() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    gyms(app, 12).await;
    slow(app, "insert", "weekly_reports").await;
    let first = Delivery::of("weekly-reports")
        .body(r#"{"batch_size": 2}"#)
        .to(app)
        .await;
    assert_eq!(first.body["continued"], true, "{first:?}");
    app.execute("drop trigger dawdle on weekly_reports").await;

    let run_id = &first.body["run_id"];
    let body = json!({ "force": true, "continuation_of": run_id }).to_string();
    let reply = Delivery::of("weekly-reports").body(&body).to(app).await;

    assert_eq!(reply.results()["total"], 12, "{reply:?}");
}

#[tokio::test]
async fn a_row_that_is_refused_keeps_its_alert_open_to_the_end_of_the_chain() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    gyms(app, 1).await;
    old_heartbeats(app, 30).await;
    app.execute(
        "create function no() returns trigger language plpgsql as
             $$ begin
                 if old.id = (select min(id) from kiosk_heartbeats) then
                     raise exception 'not this row';
                 end if;
                 perform pg_sleep(0.1);
                 return old;
             end $$;
         create trigger no before delete on kiosk_heartbeats for each row execute function no();
         update retention_policies set enabled = (target = 'kiosk_heartbeats')",
    )
    .await;

    let replies = deliver(&connected, "cleanup-old-data", r#"{"batch_size": 2}"#).await;

    assert_eq!(sum(&replies, "rows_erased"), 29);
    for reply in &replies {
        assert_eq!(reply.results()["policies_failed"], 1, "{reply:?}");
    }
    let alerts = app
        .rows("select dedup_key, status, occurrences from alerts")
        .await;
    let open = json!([{ "dedup_key": "retention_policy_failing:kiosk_heartbeats",
                        "status": "open", "occurrences": 1 }]);
    assert_eq!(alerts, open);
}

#[tokio::test]
async fn gyms_that_need_no_report_count_for_the_limit_of_a_chain() {
    let connected = pressed_for_time().await;
    let app = &connected.app;
    gyms(app, 30).await;
    app.execute(
        "update gyms set created_at = now()
          where id in (select id from (select id, row_number() over (order by id) as n from gyms) g
                        where n % 2 = 0);
         insert into kiosks (gym_id, slug, name, status, created_at)
         select id, slug || '-' || k, slug, 'online', '2020-01-01'
           from gyms, generate_series(1, 60) k",
    )
    .await;
    slow(app, "insert", "weekly_reports").await;

    let replies = deliver(&connected, "weekly-reports", r#"{"limit": 10}"#).await;

    assert_eq!(sum(&replies, "generated"), 5);
}

/// A kiosk in every gym, each with heartbeats that are past their keeping.
async fn old_heartbeats(app: &App, heartbeats: i32) {
    app.execute(&format!(
        "insert into kiosks (gym_id, slug, name, status) select id, slug, name, 'online' from gyms;
         insert into kiosk_heartbeats (kiosk_id, received_at, sent_at)
         select id, now() - interval '400 days' + n * interval '1 day', now()
           from kiosks, generate_series(1, {heartbeats}) n"
    ))
    .await;
}
