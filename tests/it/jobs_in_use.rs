//! `JOBS`: what is not in use is not expected, scheduled, shown or checked.

use axum::http::Method;
use jarvis_cron::demo::qstash_double::{QstashDouble, TOKEN};
use jarvis_cron::qstash::schedules::Schedules;
use rstest::rstest;

use crate::app::{App, CURRENT_KEY, Delivery, NEXT_KEY, OPERATOR_SECRET, Reply};
use crate::cli::{self, Done};

const SHOP: &str = "expire-stale-orders, cleanup-stale-payment-intents";
const IN_USE: [&str; 2] = ["expire-stale-orders", "cleanup-stale-payment-intents"];
const NOT_IN_USE: &str = "weekly-reports";

async fn shop() -> App {
    App::with(&[("JOBS", SHOP)]).await
}

async fn asked(app: &App, method: Method, path: &str) -> Reply {
    let headers = [
        ("authorization", format!("Bearer {OPERATOR_SECRET}")),
        ("x-reason", "to see".to_owned()),
    ];
    app.call(method, path, &headers, "").await
}

#[tokio::test]
async fn the_route_of_a_job_that_is_not_in_use_says_so_and_the_others_work() {
    let app = shop().await;
    app.stale_orders(3, 3).await;
    for job in IN_USE {
        assert_eq!(app.deliver(job).await.outcome(), (200, "succeeded"));
    }

    let to_an_operator = app.operate(NOT_IN_USE, "").await;
    let to_qstash = Delivery::of(NOT_IN_USE).to(&app).await;
    let unknown = app.operate("mow-the-lawn", "").await;

    assert_eq!(to_an_operator.status, 404, "{to_an_operator:?}");
    assert_eq!(to_an_operator.body["code"], "job_not_in_use");
    let said = to_an_operator.text;
    assert!(
        said.contains("JOBS says expire-stale-orders, cleanup-stale-payment-intents"),
        "{said}"
    );
    assert_eq!(to_qstash.status, 489, "{to_qstash:?}");
    assert_eq!(unknown.body["code"], "unknown_job", "{unknown:?}");
    let runs = "select count(*) from job_runs where job = 'weekly-reports'";
    assert_eq!(app.count(runs).await, 0);
}

#[rstest]
#[case::the_dashboard(Method::GET, "/")]
#[case::the_state_of_each(Method::GET, "/api/jobs")]
#[case::the_figures(Method::GET, "/api/jobs/metrics")]
#[case::prometheus(Method::GET, "/metrics")]
#[case::the_schedules_health(Method::GET, "/health/schedules")]
#[tokio::test]
async fn what_operators_see_leaves_it_out(#[case] method: Method, #[case] path: &str) {
    let app = shop().await;
    app.execute(
        "insert into job_runs (id, job, trigger, status, finished_at)
         select gen_random_uuid(), job, 'cli', 'succeeded', now()
           from unnest(array['weekly-reports', 'expire-stale-orders']) as job",
    )
    .await;
    // As long ago as it takes for every job to be overdue.
    app.execute("update _sqlx_migrations set installed_on = now() - interval '1 year'")
        .await;

    let reply = asked(&app, method, path).await;

    let shown = reply.text;
    assert!(shown.contains("expire-stale-orders"), "{shown}");
    for job in Schedules::deployed().schedules.iter().map(|it| &*it.job) {
        assert_eq!(shown.contains(job), IN_USE.contains(&job), "{job}: {shown}");
    }
}

#[rstest]
#[case::its_page(Method::GET, "/jobs/weekly-reports")]
#[case::its_runs(Method::GET, "/api/jobs/weekly-reports/runs")]
#[case::its_pause(Method::POST, "/api/jobs/weekly-reports/pause")]
#[tokio::test]
async fn what_is_its_own_is_not_there(#[case] method: Method, #[case] path: &str) {
    let app = shop().await;
    let reply = asked(&app, method, path).await;
    assert_eq!(reply.status, 404, "{reply:?}");
    assert!(reply.text.contains("not in use"), "{reply:?}");
}

#[tokio::test]
async fn jobs_that_are_called_make_the_schedules_well_though_others_never_are() {
    let app = shop().await;
    app.execute("update _sqlx_migrations set installed_on = now() - interval '1 year'")
        .await;
    for job in IN_USE {
        app.deliver(job).await;
    }
    let reply = asked(&app, Method::GET, "/health/schedules").await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[rstest]
#[case::run(&["run", NOT_IN_USE])]
#[case::trigger(&["trigger", NOT_IN_USE])]
#[tokio::test]
async fn commands_refuse_it(#[case] arguments: &[&str]) {
    let app = shop().await;
    let done = cli::run(&app.settings, arguments).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(
        done.err.contains("weekly-reports is not in use"),
        "{done:?}"
    );
}

#[rstest]
#[case::nearest("expire-order", "did you mean expire-stale-orders?")]
#[case::of_several(
    "weekly-reports, health-check-kiosk",
    "did you mean health-check-kiosks?"
)]
#[case::by_the_route_of_another_name(
    "cleanup-payment-intents",
    "did you mean cleanup-stale-payment-intents?"
)]
#[case::none(",", "names no job")]
#[case::empty("", "is set but empty")]
#[tokio::test]
async fn a_name_that_is_no_job_s_is_refused_with_the_nearest(
    #[case] jobs: &str,
    #[case] said: &str,
) {
    let mut settings = cli::reaching("postgres://u:p@127.0.0.1:1/d");
    settings.insert("JOBS".into(), jobs.into());
    for command in [&["run", "weekly-reports"][..], &["schedules", "plan"]] {
        let done = cli::run(&settings, command).await;
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.err.starts_with("jarvis-cron: JOBS "), "{done:?}");
        assert!(done.err.contains(said), "{done:?}");
    }
    let doctor = cli::run(&settings, &["doctor"]).await;
    assert!(doctor.out.contains("correct JOBS"), "{doctor:?}");
}

/// `schedules`, with a QStash of the shop's.
async fn schedules(app: &App, qstash: &QstashDouble, arguments: &[&str]) -> Done {
    let mut settings = app.settings.clone();
    settings.insert("QSTASH_TOKEN".into(), TOKEN.into());
    settings.insert("QSTASH_URL".into(), qstash.url());
    cli::run(&settings, arguments).await
}

#[tokio::test]
async fn only_what_is_in_use_is_scheduled_and_the_rest_goes_when_asked() {
    let app = shop().await;
    let qstash = QstashDouble::start().await.unwrap();
    qstash.set_keys(CURRENT_KEY, NEXT_KEY);
    let all = App::with_database(app.database, &[]).await;
    let done = schedules(&all, &qstash, &["schedules", "apply"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    let app = App::with_database(all.database, &[("JOBS", SHOP)]).await;

    let plan = schedules(&app, &qstash, &["schedules", "plan"]).await;
    let doctor = schedules(&app, &qstash, &["doctor", "--json"]).await;
    let prune = schedules(&app, &qstash, &["schedules", "apply", "--prune"]).await;
    let check = schedules(&app, &qstash, &["schedules", "plan", "--check"]).await;

    let said = "0 to create, 0 to update, 2 unchanged, 4 orphaned";
    assert!(plan.out.contains(said), "{plan:?}");
    assert!(
        doctor.out.contains("jarvis-weekly-reports"),
        "left over: {doctor:?}"
    );
    assert!(!doctor.out.contains("never called"), "{doctor:?}");
    assert_eq!(prune.code, Some(0), "{prune:?}");
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.out.contains("2 unchanged"), "{check:?}");
}

#[tokio::test]
async fn a_file_may_schedule_fewer_jobs_than_there_are() {
    let mut file: serde_json::Value = serde_json::from_str(Schedules::deployed_text()).unwrap();
    let schedules_of = file["schedules"].as_array_mut().unwrap();
    schedules_of.retain(|it| IN_USE.contains(&it["job"].as_str().unwrap()));
    let path = std::env::temp_dir().join(format!("{}.json", uuid::Uuid::now_v7()));
    std::fs::write(&path, file.to_string()).unwrap();
    let app = App::new().await;
    let qstash = QstashDouble::start().await.unwrap();

    let plan = ["schedules", "plan", "--file", path.to_str().unwrap()];
    let plan = schedules(&app, &qstash, &plan).await;

    assert!(plan.out.contains("2 to create, 0 to update"), "{plan:?}");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_service_without_shop_jobs_needs_no_stripe() {
    let app = App::with(&[("JOBS", "weekly-reports"), ("STRIPE_SECRET_KEY", "")]).await;
    let done = cli::run(&app.settings, &["doctor", "--json"]).await.json();
    let findings = done["findings"].as_array().unwrap();
    let stripe = findings.iter().find(|it| it["check"] == "stripe").unwrap();
    assert_eq!(stripe["level"], "ok", "{stripe}");
}
