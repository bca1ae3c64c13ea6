//! Moments in the future: they count as now, and whom or what they keep is counted.

use rstest::rstest;
use serde_json::{Value, json};

use super::{GYM, JOB, a_gym, counts, of, rows_of};
use crate::app::{App, Reply};

const GONE: &str = "00000000-0000-0000-0000-0000000000dd";

fn held(reply: &Reply, target: &str) -> Value {
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
async fn a_member_whom_only_a_moment_in_the_future_keeps_is_counted(
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
        "now() + interval '2 days'"
    )]
    at: &str,
) {
    let app = gone_with(source, at).await;

    let reply = app.deliver(JOB).await;

    assert_eq!(held(&reply, "members"), json!([0, 0, 1]), "{reply:?}");
    let plan = app.operate(JOB, "dry_run=true").await;
    assert_eq!(held(&plan, "members"), json!([0, 0, 1]));
    // Once it is corrected, the member goes.
    app.execute(&format!(
        "update members set last_contact_at = null, membership_ends_on = null,
                            cancelled_at = now() - interval '5 years';
         update visits set checked_in_at = now() - interval '4 years';
         update conversation_sessions set started_at = now() - interval '4 years'
          where member_id = '{GONE}'"
    ))
    .await;
    let next = app.deliver(JOB).await;
    assert_eq!(held(&next, "members"), json!([1, 0, 0]), "{next:?}");
}

#[rstest]
#[case::who_joins_in_the_future("joined_on = '9999-12-31', cancelled_at = null", 1)]
#[case::who_was_written_down_in_the_future("created_at = 'infinity', cancelled_at = null", 1)]
#[case::who_joined_in_the_future_and_left("joined_on = '9999-12-31'", 0)]
#[case::who_was_here_last_year("last_contact_at = now() - interval '1 year'", 0)]
#[case::who_is_here_still("status = 'active'", 0)]
#[case::who_is_anonymised("status = 'anonymised', first_name = null", 0)]
#[tokio::test]
async fn who_is_kept_by_something_else_as_well_is_not_counted(
    #[case] set: &str,
    #[case] counted: i64,
) {
    let app = gone_with("last_contact_at", "null").await;
    app.execute(&format!("update members set {set} where id = '{GONE}'"))
        .await;
    if counted == 0 && !set.starts_with("joined_on") {
        app.execute(&format!(
            "insert into visits (gym_id, member_id, checked_in_at)
             values ('{GYM}', '{GONE}', '2099-01-01')"
        ))
        .await;
    }

    let reply = app.deliver(JOB).await;

    assert_eq!(
        of(&reply, "members")["held_by_future"],
        counted,
        "{reply:?}"
    );
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
        json!([3, 0, 1]),
        "{reply:?}"
    );
    let kept = app
        .rows("select right(id::text, 1) as id from conversation_sessions where metadata <> '{}' order by 1")
        .await;
    assert_eq!(kept, json!([{ "id": "4" }, { "id": "5" }, { "id": "6" }]));
    assert_eq!(counts(&reply, "conversation_sessions")[2], 0);
}
