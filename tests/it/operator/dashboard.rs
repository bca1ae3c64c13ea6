//! The dashboard: what it shows, that nothing in it runs or leads astray.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::*;

const HOSTILE: &str = "<script>alert(\"1\")</script>&'";

/// Reads a page as a browser does.
async fn browse(app: &App, path: &str) -> Reply {
    let headers = [("authorization", basic("ada", OPERATOR_SECRET))];
    app.call(Method::GET, path, &headers, "").await
}

async fn page(app: &App, path: &str) -> String {
    let reply = browse(app, path).await;
    assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text);
    reply.text
}

/// The values of an attribute, wherever it occurs.
fn all(page: &str, attribute: &str) -> Vec<String> {
    let start = format!(" {attribute}=\"");
    page.split(&start)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"))
        .collect()
}

/// A service with something to show everywhere.
async fn busy() -> App {
    let app = App::new().await;
    app.stale_orders(3, 2).await;
    app.deliver(JOB).await;
    app.operate(JOB, "dry_run=true").await;
    app.execute("alter table kiosks rename to kiosks_away")
        .await;
    app.deliver("health-check-kiosks").await;
    app.execute("alter table kiosks_away rename to kiosks")
        .await;
    app.execute(&format!(
        "insert into gyms (name, slug, status, created_at)
         values ('Lyon {HOSTILE}', 'lyon', 'active', now() - interval '1 year')",
        HOSTILE = HOSTILE.replace('\'', "''"),
    ))
    .await;
    app.deliver("weekly-reports").await;
    app
}

#[tokio::test]
async fn every_job_is_shown_with_how_it_stands() {
    let app = busy().await;
    app.execute(&format!(
        "update _sqlx_migrations set installed_on = now() - interval '40 days';
         insert into job_pauses (job, reason, paused_by) values ('{JOB}', 'stocktaking', 'grace')"
    ))
    .await;
    let page = page(&app, "/").await;
    for job in jarvis_cron::jobs::ALL.iter() {
        assert!(page.contains(&format!("href=\"/jobs/{}\"", job.name)));
    }
    let of = |job: &str| {
        let card = page
            .split("<article>")
            .find(|card| card.contains(&format!(">{job}</a></h2>")));
        card.unwrap().to_owned()
    };
    let orders = of(JOB);
    for words in [
        "</span> paused",
        "</span> succeeded",
        "Paused by grace: stocktaking",
        "3 orders expired",
        "*/5 * * * *",
    ] {
        assert!(orders.contains(words), "{words}: {orders}");
    }
    assert!(!orders.contains("overdue"));
    let kiosks = of("health-check-kiosks");
    for words in ["</span> failed", "kiosks"] {
        assert!(kiosks.contains(words), "{words}: {kiosks}");
    }
    let churn = of("daily-churn-analysis");
    for words in [
        "</span> overdue",
        "</span> never ran",
        "QStash has not called",
    ] {
        assert!(churn.contains(words), "{words}: {churn}");
    }
    assert!(page.contains("jobs need a look, 1 paused</h1>"));
    assert!(page.contains("dry run"));
}

#[tokio::test]
async fn a_service_in_which_nothing_happened_is_shown_too() {
    let app = App::new().await;
    let index = page(&app, "/").await;
    assert!(index.contains("<h1>All jobs are well</h1>"));
    for job in jarvis_cron::jobs::ALL.iter() {
        let text = page(&app, &format!("/jobs/{}", job.name)).await;
        assert!(text.contains("never ran"), "{}", job.name);
    }
}

#[tokio::test]
async fn every_link_leads_somewhere() {
    let app = busy().await;
    let mut seen = BTreeSet::new();
    let mut ahead = vec!["/".to_owned()];
    while let Some(path) = ahead.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let reply = browse(&app, &path).await;
        let may = [200, 503].contains(&reply.status.as_u16());
        assert!(
            may && (reply.status == 200 || path.starts_with("/health")),
            "{path}"
        );
        if reply.headers["content-type"] == "text/html; charset=utf-8"
            && !path.starts_with("/reports/")
        {
            ahead.extend(all(&reply.text, "href"));
        }
    }
    for kind in [
        "/jobs/",
        "/runs/",
        "/reports/lyon/",
        "/metrics",
        "/openapi.json",
    ] {
        assert!(
            seen.iter().any(|path| path.starts_with(kind)),
            "{kind} is linked nowhere"
        );
    }
    assert!(seen.iter().all(|path| path.starts_with('/')), "{seen:?}");
}

#[tokio::test]
async fn a_run_is_shown_with_its_error_and_its_chain() {
    let app = App::new().await;
    app.execute(&format!(
        "insert into job_runs (id, job, trigger, actor, reason, status, options, results, error, continuation_of)
         values ('01900000-0000-7000-8000-000000000001', '{JOB}', 'qstash', null, null, 'partial',
                 '{{\"limit\": 5}}', '{{\"orders_expired\": 5, \"errors\": [{{\"a\": 1}}]}}', null, null),
                ('01900000-0000-7000-8000-000000000002', '{JOB}', 'operator', 'ada', 'to see', 'failed',
                 '{{}}', '{{}}', 'Stripe said no', '01900000-0000-7000-8000-000000000001')"
    ))
    .await;
    let first = page(&app, "/runs/01900000-0000-7000-8000-000000000001").await;
    for words in [
        "orders expired",
        "QStash",
        "/runs/01900000-0000-7000-8000-000000000002",
    ] {
        assert!(first.contains(words), "{words}");
    }
    let second = page(&app, "/runs/01900000-0000-7000-8000-000000000002").await;
    for words in [
        "Stripe said no",
        "ada (operator)",
        "to see",
        "/runs/01900000-0000-7000-8000-000000000001",
    ] {
        assert!(second.contains(words), "{words}");
    }
}

#[tokio::test]
async fn the_runs_of_a_job_come_page_by_page() {
    let app = App::new().await;
    app.execute(&format!(
        "insert into job_runs (id, job, trigger, status, started_at)
         select gen_random_uuid(), '{JOB}', 'qstash', 'succeeded', now() - n * interval '1 hour'
           from generate_series(1, 60) as n"
    ))
    .await;
    let first = page(&app, &format!("/jobs/{JOB}")).await;
    assert_eq!(first.matches("<tr>").count(), 51);
    let older = all(&first, "href")
        .into_iter()
        .find(|link| link.contains("before="));
    let second = page(&app, &older.unwrap()).await;
    assert_eq!(second.matches("<tr>").count(), 11);
    let failed = page(&app, &format!("/jobs/{JOB}?status=failed")).await;
    assert_eq!(failed.matches("<tr>").count(), 0);
}

#[tokio::test]
async fn what_others_wrote_is_text_and_never_markup() {
    let app = busy().await;
    let hostile = HOSTILE.replace('\'', "''");
    app.execute(&format!(
        "insert into job_pauses (job, reason, paused_by) values ('{JOB}', '{hostile}', '{hostile}');
         insert into alerts (kind, severity, dedup_key, title) values ('{hostile}', 'high', '1', '{hostile}');
         insert into job_runs (id, job, trigger, actor, reason, message_id, status, options, results, error)
         values ('01900000-0000-7000-8000-000000000001', '{JOB}', 'qstash', '{hostile}', '{hostile}',
                 '{hostile}', 'failed', jsonb_build_object('{hostile}', '{hostile}'),
                 jsonb_build_object('{hostile}', '{hostile}', 'errors', jsonb_build_array('{hostile}')),
                 '{hostile}')"
    ))
    .await;
    let pages = [
        "/",
        "/jobs/expire-stale-orders",
        "/runs/01900000-0000-7000-8000-000000000001",
    ];
    for path in pages {
        let page = page(&app, path).await;
        assert!(page.contains("&lt;script&gt;"), "{path}");
        assert!(!page.contains("<script"), "{path}");
    }
}

#[tokio::test]
async fn a_page_may_load_nothing_and_is_kept_nowhere() {
    let app = busy().await;
    for path in ["/", "/jobs/expire-stale-orders"] {
        let reply = browse(&app, path).await;
        let header = |name: &str| reply.headers[name].to_str().unwrap();
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "private, no-store");
        let style = reply.text.split("<style>").nth(1).unwrap();
        let style = style.split("</style>").next().unwrap();
        let hash = STANDARD.encode(Sha256::digest(style));
        assert_eq!(
            header("content-security-policy"),
            format!(
                "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'none'"
            )
        );
        for never in [" style=", "<script", " onclick", "src=", "<form", "://"] {
            assert!(!reply.text.contains(never), "{path} has {never}");
        }
    }
}

#[rstest]
#[case::a_job("/jobs/mow-the-lawn", 404, "unknown_job")]
#[case::a_run("/runs/01900000-0000-7000-8000-000000000009", 404, "unknown_run")]
#[case::no_run("/runs/yesterday", 404, "unknown_run")]
#[case::a_status("/jobs/expire-stale-orders?status=done", 422, "bad_option")]
#[tokio::test]
async fn what_is_not_there_is_not_shown(
    #[case] path: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let app = App::new().await;
    let reply = browse(&app, path).await;
    assert_eq!(reply.status, status);
    assert_eq!(reply.body["code"], code);
}
