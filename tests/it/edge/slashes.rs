//! A path with a slash too many: no retry makes it right.

use axum::http::Method;

use super::*;
use crate::app::{Delivery, NEXT_KEY};

fn delivery_to(path: &str) -> Delivery {
    Delivery {
        path: path.to_owned(),
        ..Delivery::of(JOB)
    }
}

#[rstest]
#[case::at_the_end("/api/cron/expire-stale-orders/", "a slash too many")]
#[case::two_at_the_end("/api/cron/expire-stale-orders//", "a slash too many")]
#[case::at_the_end_before_a_query("/api/cron/expire-stale-orders/?limit=5", "a slash too many")]
#[case::before_the_job("/api/cron//expire-stale-orders", "a slash too many")]
#[case::at_the_begin("//api/cron/expire-stale-orders", "a slash too many")]
#[case::inside("/api//cron/expire-stale-orders", "a slash too many")]
#[case::of_the_callback("/api/qstash/failures/", "a slash too many")]
#[case::without_a_job("/api/cron/", "a slash too many")]
#[case::of_no_route("/api/crons/expire-stale-orders", "no such page")]
#[tokio::test]
async fn a_path_that_is_no_route_is_404_and_the_end_to_qstash(
    #[case] path: &str,
    #[case] message: &str,
) {
    let app = App::new().await;
    let operator = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];

    let to_qstash = delivery_to(path).to(&app).await;
    let to_operator = app.call(Method::POST, path, &operator, "").await;
    let to_others = app.call(Method::POST, path, &[], "").await;
    let forged = Delivery {
        key: "sig_another_2Wd8sKq".to_owned(),
        ..delivery_to(path)
    };
    let to_a_forger = forged.to(&app).await;

    assert_eq!(to_qstash.status, 489, "{to_qstash:?}");
    assert_eq!(to_qstash.headers["upstash-nonretryable-error"], "true");
    for reply in [&to_operator, &to_others, &to_a_forger] {
        assert_eq!(reply.status, 404, "{reply:?}");
        assert!(!reply.headers.contains_key("upstash-nonretryable-error"));
    }
    for reply in [to_qstash, to_operator] {
        assert_eq!(reply.body["code"], "not_found");
        assert!(
            reply.body["message"].as_str().unwrap().contains(message),
            "{reply:?}"
        );
    }
    assert_eq!(app.count("select count(*) from job_runs").await, 0);
}

#[tokio::test]
async fn the_next_key_and_a_body_are_checked_there_too() {
    let app = App::new().await;
    let path = "/api/cron/expire-stale-orders/";
    let with_a_body = Delivery {
        key: NEXT_KEY.to_owned(),
        path: path.to_owned(),
        ..Delivery::of(JOB).body(r#"{"dry_run":true}"#)
    };
    let token = with_a_body.sign();
    assert_eq!(with_a_body.to(&app).await.status, 489);
    let of_another = Delivery {
        token: Some(token),
        ..delivery_to(path).body("{}")
    };
    assert_eq!(of_another.to(&app).await.status, 404);
}
