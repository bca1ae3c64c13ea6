//! The four gym jobs on the tables of gyms on Supabase.

use super::*;

pub(super) const CHURN: &str = "daily-churn-analysis";
pub(super) const HEALTH: &str = "health-check-kiosks";
pub(super) const CLEANUP: &str = "cleanup-old-data";
pub(super) const REPORTS: &str = "weekly-reports";

#[tokio::test]
async fn kiosks_turn_in_the_host_s_table_and_its_managers_see_and_answer_the_alerts() {
    let app = a_gym().await;
    // Silent for a night already.
    let nights = "update public.kiosks set updated_at = now() - interval '2 days'";
    app.execute(nights).await;

    let dry = app.operate(HEALTH, "dry_run=true").await;
    let real = app.deliver(HEALTH).await;
    let again = app.deliver(HEALTH).await;

    assert_eq!(real.outcome(), (200, "succeeded"), "{real:?}");
    assert_eq!(real.results()["status_changed"], 2, "{real:?}");
    assert_eq!(dry.results()["status_changed"], 2, "{dry:?}");
    assert_eq!(again.results()["status_changed"], 0, "{again:?}");
    let theirs = "select slug, status from public.kiosks order by 1";
    let expected = json!([
        ["kiosk-1", "online"],
        ["kiosk-2", "online"],
        ["kiosk-3", "offline"],
        ["kiosk-4", "provisioning"]
    ]);
    assert_eq!(cells(&app, theirs).await, expected);
    let ours = "select slug, status from kiosks where slug in ('kiosk-2', 'kiosk-3') order by 1";
    assert_eq!(
        cells(&app, ours).await,
        json!([["kiosk-2", "degraded"], ["kiosk-3", "offline"]])
    );
    let seen = "select priority, status, alert_type from public.manager_alerts order by title";
    let pending = json!(["medium", "pending", "equipment_issue"]);
    assert_eq!(cells(&app, seen).await, json!([pending, pending]));

    app.execute("update public.manager_alerts set status = 'dismissed'")
        .await;
    let after = app.deliver(HEALTH).await;

    assert_eq!(after.results()["alerts_opened"], 0, "{after:?}");
    let alerts = "select distinct status from alerts where kiosk_id is not null";
    assert_eq!(cells(&app, alerts).await, json!([["dismissed"]]));
}

#[tokio::test]
async fn a_heartbeat_of_the_host_s_is_history_and_makes_a_kiosk_online_again() {
    let app = a_gym().await;
    app.deliver(HEALTH).await;

    app.execute("update public.kiosks set last_heartbeat = now() where slug = 'kiosk-3'")
        .await;
    let reply = app.deliver(HEALTH).await;

    assert_eq!(reply.results()["status_changed"], 1, "{reply:?}");
    let theirs = "select status from public.kiosks where slug = 'kiosk-3'";
    assert_eq!(cells(&app, theirs).await, json!([["online"]]));
    assert_eq!(app.count("select count(*) from kiosk_heartbeats").await, 1);
}

#[tokio::test]
async fn rows_that_the_host_holds_are_passed_and_cleaned_up_the_next_night() {
    let app = beside(
        include_str!("../fixtures/adopt/gym.sql"),
        &[("DATABASE_LOCK_TIMEOUT_MS", "200")],
    )
    .await;
    apply(&app, &root(GYM), "gym").await;
    members::sign(&app).await;
    let mut host = app.database.direct.begin().await.unwrap();
    let holds = [
        "select from public.conversation_events where session_id = 'sess_12' for update",
        "select from public.openai_realtime_sessions where session_id = 'sess_12' for update",
        "select from public.gym_members_v2 where badge_id = 'B1069' for update",
    ];
    for hold in holds {
        host.execute(hold).await.unwrap();
    }

    let first = app.deliver(CLEANUP).await;
    host.rollback().await.unwrap();
    let second = app.deliver(CLEANUP).await;

    let rows = |reply, target: &str| {
        affected(reply)
            .into_iter()
            .find(|it| it.0 == target)
            .unwrap()
            .1
    };
    for target in ["conversation_events", "conversation_sessions", "members"] {
        assert_eq!(
            rows(&second, target),
            json!(1),
            "{target}: {first:?}{second:?}"
        );
    }
}

#[tokio::test]
async fn scores_reach_the_host_s_screens_and_members_who_stopped_coming_are_alerts_of_its() {
    let app = a_gym().await;
    // Three of those who stopped coming are the other gym's, which has its first night.
    app.execute(
        "update public.gym_members_v2 set gym_id = '00000000-0000-4000-8000-000000000002'
          where badge_id in ('B1007', 'B1017', 'B1027');
         update public.member_visits v set gym_id = m.gym_id from public.gym_members_v2 m where m.id = v.member_id;
         insert into member_churn_history (member_id, scored_on, gym_id, level, model_version)
         values (gen_random_uuid(), current_date - 2, '00000000-0000-4000-8000-000000000001', 'new', 'test')",
    )
    .await;

    let reply = app.deliver(CHURN).await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    assert_eq!(reply.results()["processed"], 60, "{reply:?}");
    let scored = "select count(*) from public.member_analytics where churn_risk_score is not null";
    assert_eq!(app.count(scored).await, 60);
    let gone = "select count(*) from public.member_analytics a join public.gym_members_v2 m on m.id = a.member_id
                 where right(m.id::text, 1) = '7' and churn_risk_level in ('high', 'critical')";
    assert_eq!(app.count(gone).await, 6);
    let alerts =
        "select right(gym_id::text, 1), member_id is not null, count(*) from public.manager_alerts
                   where alert_type = 'churn_risk' group by 1, 2 order by 1";
    let expected = json!([["1", true, 3], ["2", false, 1]]);
    assert_eq!(cells(&app, alerts).await, expected);
}

#[tokio::test]
async fn reports_reach_the_host_s_screens_once() {
    let app = a_gym().await;

    let first = app.deliver(REPORTS).await;
    let again = app.deliver(REPORTS).await;

    assert_eq!(first.outcome(), (200, "succeeded"), "{first:?}");
    assert_eq!(first.results()["generated"], 2, "{first:?}");
    assert_eq!(again.results()["generated"], 0, "{again:?}");
    let theirs = "select count(*), min((metrics ->> 'total_active_members')::int) from public.insights_reports where report_type = 'weekly_digest'";
    assert_eq!(cells(&app, theirs).await, json!([[2, 0]]));
    let uptime = "select metrics -> 'kiosk_uptime' -> 'value' from weekly_reports";
    assert_eq!(cells(&app, uptime).await, json!([[null], [null]]));
}

/// Nothing has kept the host's statuses up to date: all would turn at once.
#[tokio::test]
async fn a_fleet_with_stale_statuses_is_judged_once_its_alert_is_acknowledged() {
    let app = a_gym().await;
    app.execute(
        "insert into public.kiosks (gym_id, slug, name, status, last_heartbeat, created_at)
         select '00000000-0000-4000-8000-000000000001', 'stale-' || n, 'Stale', 'online', now() - interval '9 days', now() - interval '1 year'
           from generate_series(1, 12) n",
    )
    .await;
    let held = app.deliver(HEALTH).await;
    let way_out = "select count(*) from alerts where kind = 'fleet_silent' and recommended_actions::text like '%a database adopted today%acknowledge this alert%'";

    assert_eq!(held.results()["status_changed"], 0, "{held:?}");
    assert_eq!(app.count(way_out).await, 1);
    app.execute("update alerts set status = 'acknowledged' where kind = 'fleet_silent'")
        .await;
    let judged = app.deliver(HEALTH).await;
    assert_eq!(judged.results()["status_changed"], 14, "{judged:?}");
    let uptime = "select count(*) from kiosks where uptime is not null";
    assert_eq!(app.count(uptime).await, 0);
}

/// A trigger of the host's own resolves it.
#[tokio::test]
async fn what_the_host_s_own_triggers_do_to_an_alert_is_heard() {
    let app = a_gym().await;
    app.deliver(HEALTH).await;
    app.execute(
        "create function public.settle() returns trigger language plpgsql as
         'begin update public.manager_alerts set status = ''resolved''; return null; end';
         create trigger settle after insert on public.users for each row execute function public.settle();
         insert into public.users (role) values ('technician')",
    )
    .await;

    let alerts = "select distinct status, resolved_by from alerts where kiosk_id is not null";
    assert_eq!(cells(&app, alerts).await, json!([["resolved", "manager"]]));
}

/// How many rows each policy took.
pub(super) fn affected(reply: &crate::app::Reply) -> Vec<(String, serde_json::Value)> {
    let policies = reply.results()["policies"].as_array().unwrap();
    let named = policies.iter().map(|it| {
        (
            it["target"].as_str().unwrap().to_owned(),
            it["affected"].clone(),
        )
    });
    named.collect()
}
