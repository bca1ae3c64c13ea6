//! How many gyms are done at once, and what a gym that takes long holds up.

use super::{JOB, MONDAY};
use crate::app::App;

/// As the database ends a statement that took too long, when more than
/// `at_most` reports are stored at once; and notes how many were.
async fn slow_beyond(app: &App, at_most: i32) {
    app.execute(&format!(
        "create table stored (reports bigint);
         create function be_slow() returns trigger language plpgsql as $$
         begin
             if (select count(*) from made) > {at_most} then
                 raise query_canceled using message = 'that took too long';
             end if;
             insert into stored select count(*) from made;
             return null;
         end $$;
         create trigger be_slow after insert on weekly_reports
             referencing new table as made for each statement execute function be_slow();"
    ))
    .await;
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_halved_until_it_does_not() {
    let app = App::new().await;
    app.gyms(10).await;
    slow_beyond(&app, 3).await;

    let reply = app.operate(JOB, MONDAY).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["generated"], 10);
    assert_eq!(reply.results()["errors"], 0);
    assert_eq!(app.count("select max(reports) from stored").await, 3);
}

#[tokio::test]
async fn what_takes_too_long_to_read_is_halved_too() {
    let app = App::new().await;
    app.gyms(10).await;
    app.execute(
        "insert into members (gym_id, joined_on) select id, '2018-01-01' from gyms;
         insert into member_churn_history (member_id, scored_on, gym_id, score, level, model_version)
         select id, '2025-02-02', gym_id, 0.9, 'critical', 'test' from members;
         -- As the database ends a statement that took too long, at the fourth member of a batch.
         create function read_slowly() returns boolean language plpgsql as $$
         declare
             members int := coalesce(nullif(current_setting('test.members', true), ''), '0')::int + 1;
         begin
             perform set_config('test.members', members::text, true);
             if members > 3 then
                 raise query_canceled using message = 'that took too long';
             end if;
             return true;
         end $$;
         create or replace view churn_members as
         select m.id, m.gym_id, 'UTC'::text as timezone, m.frozen_until, m.joined_on,
                m.membership_ends_on, read_slowly() as is_scored
           from members m;",
    )
    .await;

    let reply = app.operate(JOB, MONDAY).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["generated"], 10);
    assert_eq!(reply.results()["errors"], 0);
    let listed =
        "select count(*) from weekly_reports where jsonb_array_length(metrics -> 'at_risk') = 1";
    assert_eq!(app.count(listed).await, 10);
}

#[tokio::test]
async fn a_gym_that_takes_too_long_by_itself_holds_up_no_other() {
    let app = App::new().await;
    app.gyms(5).await;
    slow_beyond(&app, 1_000).await;
    app.execute(
        "create function be_slower() returns trigger language plpgsql as $$
         begin
             if exists (select from gyms where id = new.gym_id and slug = 'gym-0003') then
                 raise query_canceled using message = 'that took too long';
             end if;
             return new;
         end $$;
         create trigger be_slower before insert on weekly_reports
             for each row execute function be_slower();",
    )
    .await;

    let reply = app.operate(JOB, MONDAY).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["generated"], 4);
    assert_eq!(reply.results()["errors"], 1);
}

#[tokio::test]
async fn gyms_with_many_kiosks_are_done_a_few_at_once() {
    let app = App::new().await;
    app.gyms(6).await;
    slow_beyond(&app, 1_000).await;
    app.execute(
        "insert into kiosks (gym_id, slug, name, status, created_at)
         select id, slug || '-' || n, 'Desk', 'online', '2024-01-01'
           from gyms, generate_series(1, case slug when 'gym-0001' then 700 else 40 end) n",
    )
    .await;

    let reply = app.operate(JOB, MONDAY).await;

    assert_eq!(reply.results()["generated"], 6);
    // The large one alone, the others by two: more only where it cuts them off.
    assert!(app.count("select max(reports) from stored").await <= 2);
    assert!(app.count("select count(*) from stored").await <= 5);
}
