//! Walks over the tables: where they end, and that every policy has its turn.

use rstest::rstest;
use serde_json::{Value, json};

use super::{JOB, TARGETS, a_backlog, a_gym, counts, in_a_gym, left, logged, of, rows_of};
use crate::app::App;

#[rstest]
#[case::conversation_events("conversation_events", 90)]
#[case::conversation_sessions("conversation_sessions", 30)]
#[case::kiosk_heartbeats("kiosk_heartbeats", 30)]
#[case::alerts("alerts", 365)]
#[case::visits("visits", 1095)]
#[case::members("members", 1095)]
#[case::system_logs("system_logs", 180)]
#[case::job_runs("job_runs", 365)]
#[case::delivery_failures("delivery_failures", 365)]
#[tokio::test]
async fn a_policy_erases_what_is_past_its_cutoff_to_the_microsecond(
    #[case] target: &str,
    #[case] days: u32,
) {
    let app = a_gym().await;
    let cutoff = format!("timestamptz '2026-01-31 12:00Z' - interval '{days} days'");
    let before = format!("({cutoff} - interval '1 microsecond')");
    app.execute(&rows_of(target, &before, 7)).await;
    app.execute(&rows_of(target, &format!("({cutoff})"), 5))
        .await;
    let others = app.checksums().await;

    let reply = app
        .operate(JOB, "as_of=2026-01-31T12:00:00Z&batch_size=3")
        .await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(counts(&reply, target), json!([7, 0, 0]));
    assert_eq!(reply.results()["rows_erased"], 7);
    assert_eq!(left(&app, target).await, 5);
    assert_eq!(logged(&app, target).await, 7);
    let changed: Vec<String> = app
        .checksums()
        .await
        .into_iter()
        .filter_map(|(table, sum)| (others[&table] != sum).then_some(table))
        .filter(|table| table != "erasure_log" && table != "system_logs")
        .collect();
    let expected: &[&str] = match target {
        // The ledger's own tables are not compared.
        "job_runs" | "system_logs" => &[],
        // The last visit of a member leaves its date behind.
        "visits" => &["visits"],
        target => &[target],
    };
    assert_eq!(changed, expected);
}

#[tokio::test]
async fn a_prediction_is_past_its_keeping_once_its_day_was_over() {
    let app = a_gym().await;
    for day in ["2024-12-25", "2024-12-26", "2024-12-27", "2024-12-28"] {
        let at = format!("timestamptz '{day} 00:00Z'");
        app.execute(&rows_of("member_churn_history", &at, 2)).await;
    }

    // 400 days before are noon of 27 December.
    let reply = app
        .operate(JOB, "as_of=2026-01-31T12:00:00Z&batch_size=3")
        .await;

    assert_eq!(counts(&reply, "member_churn_history"), json!([4, 0, 0]));
    let days = app
        .rows("select distinct scored_on from member_churn_history order by 1")
        .await;
    assert_eq!(
        days,
        json!([{ "scored_on": "2024-12-27" }, { "scored_on": "2024-12-28" }])
    );
}

#[tokio::test]
async fn every_policy_has_its_turn_and_a_second_run_changes_nothing() {
    let app = a_backlog().await;

    let first = app.deliver(JOB).await;
    assert_eq!(first.outcome(), (200, "succeeded"), "{first:?}");
    for target in TARGETS {
        assert_eq!(counts(&first, target), json!([10, 0, 0]), "{target}");
        assert_eq!(left(&app, target).await, 2, "{target}");
        assert_eq!(logged(&app, target).await, 10, "{target}");
    }
    assert_eq!(first.results()["rows_erased"], 120);
    let mut before = app.checksums().await;

    let second = app.deliver(JOB).await;

    assert_eq!(
        second.body["message"],
        "cleanup-old-data succeeded: nothing to do"
    );
    let mut after = app.checksums().await;
    // Every settled run has its line.
    before.remove("system_logs");
    after.remove("system_logs");
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_limit_holds_for_each_policy_and_the_rest_is_counted() {
    let app = a_backlog().await;

    let reply = app.operate(JOB, "limit=4&batch_size=3").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    for target in TARGETS {
        assert_eq!(counts(&reply, target), json!([4, 6, 0]), "{target}");
        assert_eq!(left(&app, target).await, 8, "{target}");
    }
}

#[rstest]
#[case::takes_too_long("57014", (200, "succeeded"), json!([1, null, null]))]
#[case::is_cut_off("57P01", (503, "failed"), json!([1, null, null]))]
#[tokio::test]
async fn counting_the_rest_ends_the_run_only_when_the_database_is_away(
    #[case] code: &str,
    #[case] outcome: (u16, &str),
    #[case] counted: Value,
) {
    let app = a_gym().await;
    // The walk reads the first line only; whose the second is cannot be told.
    app.execute(&format!(
        "update retention_policies set enabled = (target = 'system_logs');
         insert into legal_holds (subject_type, subject_id, reason)
         values ('gym', gen_random_uuid(), 'x');
         insert into system_logs (log_type, message, \"timestamp\", details)
         values ('x', 'x', now() - interval '5 years', '{{}}'),
                ('x', 'x', now() - interval '4 years', '{{\"gym_id\": \"x\"}}');
         create or replace function uuid_or_null(word text) returns uuid language plpgsql
             immutable parallel safe as $$ begin
                 if word = 'x' then raise exception 'no' using errcode = '{code}'; end if;
                 return null;
             end $$"
    ))
    .await;

    let reply = app.operate(JOB, "limit=1").await;

    assert_eq!(reply.outcome(), outcome, "{reply:?}");
    assert_eq!(counts(&reply, "system_logs"), counted);
}

#[tokio::test]
async fn a_backlog_of_one_policy_starves_no_other() {
    let app = App::with(&[("RUN_BUDGET_SECONDS", "1")]).await;
    let app = in_a_gym(app).await;
    let old = "(now() - interval '5 years' - n * interval '1 minute')";
    app.execute(&rows_of("conversation_events", old, 5_000))
        .await;
    app.execute(&rows_of("job_runs", old, 3)).await;

    let reply = app.operate(JOB, "batch_size=1").await;

    assert_eq!(reply.outcome(), (200, "partial"), "{reply:?}");
    let affected = |target| of(&reply, target)["affected"].as_i64().unwrap();
    let (erased, other) = (affected("conversation_events"), affected("job_runs"));
    assert!((1..5_000).contains(&erased), "{reply:?}");
    // Turn by turn, however many turns there was time for.
    assert!(other >= (erased - 1).min(3), "{reply:?}");
    assert_eq!(counts(&reply, "job_runs"), json!([other, 3 - other, 0]));
    assert_eq!(
        of(&reply, "conversation_events")["remaining"],
        5_000 - erased
    );
}

#[tokio::test]
async fn dates_beyond_the_calendar_stop_nobody() {
    let app = a_gym().await;
    for at in [
        "'-infinity'",
        "'0001-01-01 BC'",
        "'infinity'",
        "'250000-01-01'",
    ] {
        for target in [
            "visits",
            "conversation_events",
            "alerts",
            "system_logs",
            "members",
        ] {
            app.execute(&rows_of(target, &format!("{at}::timestamptz"), 1))
                .await;
        }
    }
    app.execute(
        "update members set membership_ends_on = 'infinity' where cancelled_at = 'infinity'",
    )
    .await;

    let reply = app.operate(JOB, "batch_size=1").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["policies_failed"], 0, "{reply:?}");
    // Who left at no moment at all was last heard of when they joined.
    assert_eq!(reply.results()["rows_erased"], 9, "{reply:?}");
}

#[tokio::test]
async fn rows_of_one_moment_are_walked_batch_by_batch() {
    let app = a_gym().await;
    for target in TARGETS {
        app.execute(&rows_of(target, "timestamptz '2020-02-02 00:00Z'", 25))
            .await;
    }

    let reply = app.operate(JOB, "batch_size=4").await;

    for target in TARGETS {
        assert_eq!(counts(&reply, target), json!([25, 0, 0]), "{target}");
    }
}
