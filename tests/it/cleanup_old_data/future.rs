//! Moments in the future: they say nothing of a last contact, and whom or what
//! they keep, or would have kept, is counted.

use rstest::rstest;
use serde_json::{Value, json};

use super::{GYM, JOB, a_gym, counts, of, rows_of};
use crate::app::{App, Reply};

const GONE: &str = "00000000-0000-0000-0000-0000000000dd";

pub(super) fn held(reply: &Reply, target: &str) -> Value {
    let policy = of(reply, target);
    json!([
        policy["affected"],
        policy["remaining"],
        policy["held_by_future"]
    ])
}

/// A member who left long ago, and after whom such a moment was written down.
async fn gone_with(source: &str, at: &str) -> App {
    let app = a_gym().await;
    app.execute(&format!(
        "insert into members (id, gym_id, first_name, status, joined_on, created_at, cancelled_at)
         values ('{GONE}', '{GYM}', 'Ada', 'cancelled', now() - interval '9 years',
                 now() - interval '9 years', now() - interval '5 years')"
    ))
    .await;
    let write = match source {
        "visits" => format!(
            "insert into visits (gym_id, member_id, checked_in_at) values ('{GYM}', '{GONE}', {at})"
        ),
        "conversation_sessions" => format!(
            "insert into conversation_sessions (gym_id, member_id, started_at, ended_at)
             values ('{GYM}', '{GONE}', {at}, now())"
        ),
        column => format!("update members set {column} = {at} where id = '{GONE}'"),
    };
    app.execute(&write).await;
    app
}

#[rstest]
#[tokio::test]
async fn a_moment_in_the_future_keeps_nobody_and_is_counted(
    #[values(
        "last_contact_at",
        "cancelled_at",
        "membership_ends_on",
        "visits",
        "conversation_sessions"
    )]
    source: &str,
    #[values(
        "'9999-12-31'",
        "'infinity'",
        "'2099-05-05'",
        "now() + interval '3 days'"
    )]
    at: &str,
) {
    let at = match (source, at.contains("days")) {
        // Nearer, it is a plan.
        ("membership_ends_on", true) => "now() + interval '6 years'",
        _ => at,
    };
    let app = gone_with(source, at).await;

    let plan = app.operate(JOB, "dry_run=true").await;
    let reply = app.deliver(JOB).await;

    assert_eq!(held(&plan, "members"), json!([1, 0, 1]), "{plan:?}");
    assert_eq!(held(&reply, "members"), json!([1, 0, 1]), "{reply:?}");
    let next = app.deliver(JOB).await;
    assert_eq!(held(&next, "members"), json!([0, 0, 0]), "{next:?}");
}

#[rstest]
#[tokio::test]
async fn a_membership_that_runs_keeps_its_member(
    #[values("current_date", "current_date + 60", "now() + interval '4 years'")] ends_on: &str,
    #[values(
        "status = 'cancelled'",
        "status = 'expired', last_contact_at = '2099-01-01'"
    )]
    set: &str,
) {
    let app = gone_with("membership_ends_on", ends_on).await;
    app.execute(&format!("update members set {set} where id = '{GONE}'"))
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(held(&reply, "members"), json!([0, 0, 0]), "{reply:?}");
}

#[tokio::test]
async fn a_member_without_a_moment_in_the_future_is_not_counted() {
    let app = gone_with("last_contact_at", "null").await;

    let reply = app.deliver(JOB).await;

    assert_eq!(held(&reply, "members"), json!([1, 0, 0]), "{reply:?}");
}

#[rstest]
#[case::who_was_here_last_year("last_contact_at = now() - interval '1 year'", 0)]
#[case::who_was_here_by_a_clock_that_is_ahead("last_contact_at = now() + interval '2 hours'", 0)]
#[case::who_is_here_still("status = 'active'", 0)]
#[case::who_is_frozen("status = 'frozen'", 0)]
#[case::of_whom_nothing_else_is_known(
    "cancelled_at = null, joined_on = '9999-12-31', created_at = 'infinity'",
    1
)]
#[tokio::test]
async fn a_moment_in_the_future_takes_nothing_from_a_member(
    #[case] set: &str,
    #[case] counted: i64,
    #[values("visits", "conversation_sessions", "membership_ends_on")] source: &str,
) {
    let app = gone_with(source, "'2099-01-01'").await;
    app.execute(&format!("update members set {set} where id = '{GONE}'"))
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(held(&reply, "members"), json!([0, 0, counted]), "{reply:?}");
}

#[rstest]
#[case::joined_long_ago("joined_on = now() - interval '9 years'", json!([1, 0, 1]))]
#[case::joined_lately("joined_on = now() - interval '1 year'", json!([0, 0, 0]))]
#[case::joins_in_the_future("joined_on = '9999-12-31', created_at = '2099-01-01'", json!([0, 0, 1]))]
#[tokio::test]
async fn who_has_only_a_moment_in_the_future_is_judged_by_the_day_they_joined(
    #[case] joined: &str,
    #[case] expected: Value,
    #[values("last_contact_at", "cancelled_at", "membership_ends_on")] source: &str,
) {
    let app = gone_with(source, "'2099-01-01'").await;
    let other = match source {
        "cancelled_at" => String::new(),
        _ => ", cancelled_at = null".to_owned(),
    };
    app.execute(&format!(
        "update members set {joined}{other} where id = '{GONE}'"
    ))
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(held(&reply, "members"), expected, "{reply:?}");
}

#[tokio::test]
async fn a_visit_that_is_deleted_stays_the_last_beside_one_in_the_future() {
    let app = gone_with("last_contact_at", "'9999-12-31'").await;
    app.execute(&format!(
        "update retention_policies set keep_days = 30 where target = 'visits';
         insert into visits (gym_id, member_id, checked_in_at)
         values ('{GYM}', '{GONE}', now() - interval '100 days'), ('{GYM}', '{GONE}', '2099-01-01')"
    ))
    .await;

    for _ in 0..2 {
        let reply = app.deliver(JOB).await;
        assert_eq!(counts(&reply, "members"), json!([0, 0, 0]), "{reply:?}");
    }

    assert_eq!(app.count("select count(*) from visits").await, 1);
    let days = "select round(extract(epoch from now() - last_contact_at) / 86400) from members";
    assert_eq!(app.count(&format!("{days} where id = '{GONE}'")).await, 100);
}

#[tokio::test]
async fn a_run_as_of_another_moment_takes_nothing_that_came_since_for_the_future() {
    let app = gone_with("last_contact_at", "now() - interval '10 days'").await;
    app.execute(&rows_of("visits", "(now() - interval '10 days')", 3))
        .await;
    let as_of = app
        .rows("select to_char(now() - interval '60 days', 'YYYY-MM-DD') as day")
        .await[0]["day"]
        .as_str()
        .unwrap()
        .to_owned();

    let plan = app
        .operate(JOB, &format!("dry_run=true&as_of={as_of}T00:00:00Z"))
        .await;

    assert_eq!(held(&plan, "members"), json!([0, 0, 0]), "{plan:?}");
    assert_eq!(held(&plan, "visits"), json!([0, 0, 0]), "{plan:?}");
}

#[rstest]
#[tokio::test]
async fn rows_dated_in_the_future_are_kept_and_counted(
    #[values(
        "conversation_events",
        "conversation_sessions",
        "kiosk_heartbeats",
        "alerts",
        "visits",
        "member_churn_history",
        "system_logs",
        "job_runs",
        "delivery_failures"
    )]
    target: &str,
) {
    let app = a_gym().await;
    for at in ["'infinity'::timestamptz", "timestamptz '2099-01-01'"] {
        app.execute(&rows_of(target, at, 2)).await;
    }
    app.execute(&rows_of(target, "(now() + interval '1 second')", 1))
        .await;
    app.execute(&rows_of(target, "(now() - interval '5 years')", 3))
        .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(held(&reply, target), json!([3, 0, 4]), "{reply:?}");
}

#[tokio::test]
async fn a_session_that_broke_off_counts_from_its_last_sign_of_life() {
    let app = a_gym().await;
    app.execute(&format!(
        "delete from conversation_sessions;
         insert into conversation_sessions (id, gym_id, state, started_at, metadata)
         select ('00000000-0000-0000-0000-0000000000' || lpad(n::text, 2, '0'))::uuid, '{GYM}',
                (array['active', 'error', 'closed'])[n % 3 + 1],
                now() - interval '31 days', '{{\"a\": 1}}'
           from generate_series(1, 6) n;
         update conversation_sessions set started_at = now() - interval '29 days'
          where id::text like '%06';
         insert into conversation_events (session_id, event_type, occurred_at)
         values ('00000000-0000-0000-0000-000000000004', 'x', now() - interval '29 days'),
                ('00000000-0000-0000-0000-000000000003', 'x', now() - interval '40 days'),
                ('00000000-0000-0000-0000-000000000005', 'x', '2099-01-01')"
    ))
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(
        held(&reply, "conversation_sessions"),
        json!([4, 0, 0]),
        "{reply:?}"
    );
    let kept = app
        .rows("select right(id::text, 1) as id from conversation_sessions where metadata <> '{}' order by 1")
        .await;
    assert_eq!(kept, json!([{ "id": "4" }, { "id": "6" }]));
    assert_eq!(counts(&reply, "conversation_sessions")[2], 0);
}
