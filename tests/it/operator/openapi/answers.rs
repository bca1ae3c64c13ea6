//! Real answers, held against what the document says of them.

use super::*;

/// Holds an answer against what the document says of it.
fn keeps_to(document: &Value, method: &str, route: &str, reply: &Reply) {
    let escaped = route.replace('/', "~1");
    let what = format!("{method} {route} {}", reply.status.as_u16());
    let place = format!(
        "/paths/{escaped}/{method}/responses/{}",
        reply.status.as_u16()
    );
    let response = document
        .pointer(&place)
        .unwrap_or_else(|| panic!("{what} is not described"));
    for header in response["headers"].as_object().into_iter().flatten() {
        assert!(
            reply.headers.contains_key(header.0),
            "{what} has no {}",
            header.0
        );
    }
    let kind = reply.headers["content-type"].to_str().unwrap();
    let described = response["content"].as_object().unwrap();
    assert!(described.contains_key(kind), "{what} is {kind}");
    if kind == "application/json" {
        let kind = kind.replace('/', "~1");
        let schema = schema_at(document, &format!("{place}/content/{kind}/schema"));
        check(&schema, &reply.body, &what);
    }
}

#[tokio::test]
async fn the_answers_to_a_call_keep_to_it() {
    let app = App::new().await;
    let document = document(&app).await;
    let route = "/api/cron/{job}";
    app.stale_order().await;
    let mut answers = vec![
        app.deliver(JOB).await,
        app.operate(JOB, "dry_run=true").await,
        app.operate(JOB, "dry_run=yes").await,
        app.operate("mow-the-lawn", "").await,
        app.deliver("mow-the-lawn").await,
        app.call(Method::POST, "/api/cron/expire-stale-orders", &[], "")
            .await,
        app.call(Method::PUT, "/api/cron/expire-stale-orders", &[], "")
            .await,
        Delivery::of(JOB).body("{").to(&app).await,
    ];
    let operator = |kind: &str| {
        vec![
            ("authorization", format!("Bearer {OPERATOR_SECRET}")),
            ("content-type", kind.to_owned()),
        ]
    };
    let path = "/api/cron/expire-stale-orders";
    for (kind, body) in [("application/json", "{"), ("text/plain", "{}")] {
        answers.push(app.call(Method::POST, path, &operator(kind), body).await);
    }
    let large = " ".repeat(70_000);
    answers.push(
        app.call(Method::POST, path, &operator("application/json"), large)
            .await,
    );
    app.execute(&format!(
        "update job_leases set expires_at = now() + interval '50 seconds', run_id = gen_random_uuid() where job = '{JOB}'"
    ))
    .await;
    answers.push(app.operate(JOB, "").await);
    app.execute(&format!("insert into job_pauses (job) values ('{JOB}')"))
        .await;
    answers.push(app.operate(JOB, "").await);
    app.execute("alter table members rename to members_away")
        .await;
    answers.push(app.deliver("daily-churn-analysis").await);
    let statuses: BTreeSet<u16> = answers.iter().map(|reply| reply.status.as_u16()).collect();
    let expected = [200, 400, 401, 404, 405, 409, 413, 415, 422, 423, 489, 500];
    assert_eq!(statuses, BTreeSet::from(expected));
    for reply in &answers {
        keeps_to(&document, "post", route, reply);
    }
}

#[tokio::test]
async fn what_operators_read_keeps_to_it() {
    let app = App::new().await;
    let document = document(&app).await;
    app.stale_order().await;
    let run = app.deliver(JOB).await.body["run_id"]
        .as_str()
        .unwrap()
        .to_owned();
    app.execute("update _sqlx_migrations set installed_on = now() - interval '40 days'")
        .await;
    let reads = [
        ("/health/live", "/health/live".to_owned()),
        ("/health/ready", "/health/ready".to_owned()),
        ("/health/schedules", "/health/schedules".to_owned()),
        ("/", "/".to_owned()),
        ("/jobs/{job}", format!("/jobs/{JOB}")),
        ("/runs/{id}", format!("/runs/{run}")),
        ("/api/jobs", "/api/jobs".to_owned()),
        ("/api/jobs/metrics", "/api/jobs/metrics".to_owned()),
        ("/api/jobs/{job}/runs", format!("/api/jobs/{JOB}/runs")),
        (
            "/api/jobs/{job}/runs",
            format!("/api/jobs/{JOB}/runs?limit=0"),
        ),
        ("/api/runs/{id}", format!("/api/runs/{run}")),
        ("/api/runs/{id}", "/api/runs/none".to_owned()),
        ("/metrics", "/metrics".to_owned()),
        ("/openapi.json", "/openapi.json".to_owned()),
        ("/reports/{gym}/{week}", "/reports/lyon/2026-W05".to_owned()),
    ];
    for (route, path) in &reads {
        keeps_to(&document, "get", route, &read(&app, path).await);
        if !route.starts_with("/health") {
            let stranger = app.call(Method::GET, path, &[], "").await;
            keeps_to(&document, "get", route, &stranger);
        }
    }
}

#[tokio::test]
async fn what_operators_change_keeps_to_it() {
    let app = App::new().await;
    let document = document(&app).await;
    let route = "/api/jobs/{job}/pause";
    let path = "/api/jobs/expire-stale-orders/pause";
    let mut headers = vec![("authorization", format!("Bearer {OPERATOR_SECRET}"))];
    keeps_to(
        &document,
        "delete",
        route,
        &app.call(Method::DELETE, path, &headers, "").await,
    );
    headers.push(("content-type", "application/json".to_owned()));
    for body in [r#"{"reason": "x"}"#, "{", r#"{"until": 1}"#] {
        keeps_to(
            &document,
            "post",
            route,
            &app.call(Method::POST, path, &headers, body).await,
        );
    }
    headers.push(("sec-fetch-site", "cross-site".to_owned()));
    keeps_to(
        &document,
        "post",
        route,
        &app.call(Method::POST, path, &headers, "{}").await,
    );
}

#[tokio::test]
async fn answers_without_a_database_keep_to_it() {
    let document = document(&App::new().await).await;
    let app = App::without_a_database().await;
    keeps_to(
        &document,
        "post",
        "/api/cron/{job}",
        &app.deliver(JOB).await,
    );
    for route in [
        "/health/ready",
        "/health/schedules",
        "/",
        "/api/jobs",
        "/api/jobs/metrics",
        "/metrics",
    ] {
        keeps_to(&document, "get", route, &read(&app, route).await);
    }
}
