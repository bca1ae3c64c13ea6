//! Who was mailed which report, and the audit trail.

use rstest::rstest;
use serde_json::json;

use super::{GYM, JOB, a_gym, counts, of};
use crate::app::App;

/// A report of a week that ended so many days ago, mailed to these.
async fn mailed(app: &App, days: u32, recipients: &[&str]) {
    for recipient in recipients {
        app.execute(&format!(
            "insert into weekly_reports (gym_id, iso_year, iso_week, period_start, period_end, timezone,
                                         content_hash)
             values ('{GYM}', {days}, 1, now() - interval '{} days', now() - interval '{days} days',
                     'Europe/Paris', 'x')
             on conflict do nothing;
             insert into report_deliveries (report_id, recipient, sent_at, error)
             select id, '{recipient}', period_end + interval '1 hour', 'to {recipient}'
               from weekly_reports where iso_year = {days}",
            days + 7
        ))
        .await;
    }
}

#[tokio::test]
async fn deliveries_are_kept_a_year_and_its_margin_and_no_longer_than_their_recipient_is_one() {
    let app = a_gym().await;
    app.execute(&format!(
        "insert into report_recipients (gym_id, email) values ('{GYM}', 'Ada <Ada@gym.test>')"
    ))
    .await;
    for days in [2_500, 401, 399, 61, 59, 1] {
        mailed(&app, days, &[" ada@Gym.test", "left@gym.test"]).await;
    }

    let reply = app.deliver(JOB).await;

    assert_eq!(
        counts(&reply, "report_deliveries"),
        json!([6, 0, 0]),
        "{reply:?}"
    );
    let left = app
        .rows(
            "select iso_year, btrim(recipient) as recipient
               from report_deliveries join weekly_reports w on w.id = report_id order by 1, 2",
        )
        .await;
    let kept = |days: u32, who: &str| json!({ "iso_year": days, "recipient": who });
    assert_eq!(
        left,
        json!([
            kept(1, "ada@Gym.test"),
            kept(1, "left@gym.test"),
            kept(59, "ada@Gym.test"),
            kept(59, "left@gym.test"),
            kept(61, "ada@Gym.test"),
            kept(399, "ada@Gym.test"),
        ])
    );
    assert!(!reply.text.contains("gym.test"), "{reply:?}");
}

#[tokio::test]
async fn a_dry_run_and_a_checkpoint_show_no_address() {
    let app = a_gym().await;
    mailed(&app, 2_500, &["ada@gym.test", "zoe@gym.test"]).await;

    let plan = app.operate(JOB, "dry_run=true&batch_size=1").await;

    assert_eq!(counts(&plan, "report_deliveries"), json!([2, 0, 0]));
    assert!(!plan.text.contains('@'), "{plan:?}");
    let ledger = app.rows("select place, results from job_runs").await;
    assert!(!ledger.to_string().contains('@'), "{ledger}");
}

#[rstest]
#[case::report_deliveries("report_deliveries", 89)]
#[case::audit_events("audit_events", 364)]
#[tokio::test]
async fn what_jobs_rest_on_has_a_floor_that_no_row_can_lower(
    #[case] target: &str,
    #[case] days: i32,
) {
    let app = a_gym().await;
    app.execute(&format!(
        "alter table retention_policies drop constraint retention_policies_floor;
         update retention_policies set min_days = 1, keep_days = {days} where target = '{target}'"
    ))
    .await;

    let reply = app.deliver(JOB).await;

    let error = of(&reply, target)["error"].as_str().unwrap();
    assert_eq!(
        error,
        format!("keep_days is {days}, under the floor of {}", days + 1)
    );
}

#[tokio::test]
async fn the_audit_trail_is_kept_for_ten_years() {
    let app = a_gym().await;
    app.execute(
        "insert into audit_events (event_type, entity_type, entity_id, occurred_at)
         select 'x', 'order', n::text, now() - n * interval '1 day'
           from unnest(array[1, 400, 3649, 3651, 9000]) n",
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(
        counts(&reply, "audit_events"),
        json!([2, 0, 0]),
        "{reply:?}"
    );
}

/// The guard that says it once is the event itself.
#[tokio::test]
async fn what_is_said_once_of_an_order_stays_while_the_order_may_be_looked_at_again() {
    let app = a_gym().await;
    app.execute(
        "insert into orders (id, order_number, status, currency, total_amount, expires_at)
         select ('00000000-0000-0000-0000-0000000000b' || n)::uuid, 'O' || n,
                (array['PENDING', 'REQUIRES_PAYMENT', 'PAID', 'EXPIRED'])[n], 'eur', 1, '2010-01-01'
           from generate_series(1, 4) n;
         insert into audit_events (event_type, entity_type, entity_id, occurred_at)
         select kind, 'order', entity, now() - interval '11 years'
           from (select id::text from orders union all select 'gone') as orders (entity),
                unnest(array['local.order.paid_at_expiry', 'local.order.expired']) kind",
    )
    .await;

    let reply = app.deliver(JOB).await;

    assert_eq!(
        counts(&reply, "audit_events"),
        json!([8, 0, 0]),
        "{reply:?}"
    );
    let left = app
        .rows("select event_type, entity_id from audit_events order by 2")
        .await;
    let kept = |order| json!({ "event_type": "local.order.paid_at_expiry", "entity_id": order });
    assert_eq!(
        left,
        json!([
            kept("00000000-0000-0000-0000-0000000000b1"),
            kept("00000000-0000-0000-0000-0000000000b2"),
        ])
    );
}
