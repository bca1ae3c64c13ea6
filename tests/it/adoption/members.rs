//! The members of gyms on Supabase: anonymised, deleted, and kept until an operator has signed.

use super::gym::{CHURN, CLEANUP, affected};
use super::*;

#[tokio::test]
async fn a_member_gone_for_four_years_is_emptied_in_the_host_s_tables_and_one_on_hold_is_not() {
    let app = a_gym().await;
    sign(&app).await;
    let held = "10000000-0000-4000-8000-000000000070";
    app.execute(&format!(
        "insert into legal_holds (subject_type, subject_id, reason) values ('member', '{held}', 'a dispute')"
    ))
    .await;

    let dry = app.operate(CLEANUP, "dry_run=true").await;
    let real = app.deliver(CLEANUP).await;
    let again = app.deliver(CLEANUP).await;

    assert_eq!(real.outcome(), (200, "succeeded"), "{real:?}");
    assert_eq!(affected(&dry), affected(&real));
    let members = affected(&real).into_iter().find(|it| it.0 == "members");
    assert_eq!(members.unwrap().1, json!(9), "{real:?}");
    assert!(
        affected(&again).iter().all(|(_, rows)| *rows == json!(0)),
        "{again:?}"
    );
    let emptied = "select count(*) from public.gym_members_v2 where first_name = 'anonyme' and email is null and badge_id like 'anonyme-%'";
    assert_eq!(app.count(emptied).await, 9);
    assert_eq!(
        cells(&app, "select member_id from public.member_facts").await,
        json!([[held]])
    );
    assert_eq!(
        app.count("select count(*) from public.gym_members_v2")
            .await,
        70
    );
    let old =
        "select count(*) from public.member_visits where created_at < now() - interval '3 years'";
    assert_eq!(app.count(old).await, 0);
    let kept = "select count(*) from public.conversation_events where \"timestamp\" < now() - interval '90 days'";
    assert_eq!(app.count(kept).await, 0);
    let closed =
        "select count(*) from public.openai_realtime_sessions where session_metadata <> '{}'";
    assert_eq!(app.count(closed).await, 3);
    let logs = "select log_type, count(*) from public.system_logs group by 1 order by 1";
    assert_eq!(
        cells(&app, logs).await,
        json!([["cron_cleanup", 2], ["health", 1]])
    );
}

#[tokio::test]
async fn a_member_whom_the_host_deletes_is_forgotten() {
    let app = a_gym().await;
    app.deliver(CHURN).await;

    app.execute("delete from public.gym_members_v2 where badge_id in ('B1007', 'B1008')")
        .await;

    assert_eq!(app.count("select count(*) from member_churn").await, 58);
    assert_eq!(
        app.count("select count(*) from member_churn_history").await,
        58
    );
    let lost = "select count(*) from alerts a where member_id is not null and not exists (select from members m where m.id = a.member_id)";
    assert_eq!(app.count(lost).await, 0);
}

pub(super) async fn sign(app: &App) {
    let done = cli::run(
        &app.settings,
        &["policies", "sign", "members", "visits", "--actor", "ada"],
    )
    .await;
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[tokio::test]
async fn members_and_visits_are_erased_once_an_operator_has_signed() {
    let app = a_gym().await;
    let emptied = "select count(*) from public.gym_members_v2 where first_name = 'anonyme'";
    let doctor = cli::run(&app.settings, &["doctor", "--json"]).await;
    app.deliver(CLEANUP).await;
    let before = app.count(emptied).await;

    sign(&app).await;
    app.deliver(CLEANUP).await;
    cli::run(&app.settings, &["adopt", "drop"]).await;
    apply(&app, &root(GYM), "gym").await;

    assert_eq!((before, app.count(emptied).await), (0, 10));
    assert!(
        doctor
            .out
            .contains("jarvis-cron policies sign members visits"),
        "{doctor:?}"
    );
    let policies = "select target, enabled from retention_policies where target in ('members', 'visits') order by 1";
    assert_eq!(
        cells(&app, policies).await,
        json!([["members", true], ["visits", true]])
    );
    let signed = "select actor, entity_id from audit_events where event_type = 'local.retention_policy.signed' order by 2";
    assert_eq!(
        cells(&app, signed).await,
        json!([["ada", "members"], ["ada", "visits"]])
    );
}
