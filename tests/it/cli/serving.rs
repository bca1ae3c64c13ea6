//! `serve`, and `trigger` against it.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr};

use super::*;

/// A `serve` of its own process.
pub(super) struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    /// What it logged until it listened.
    logged: String,
    pub(super) url: String,
}

impl Service {
    pub(super) async fn start(settings: &Settings) -> Self {
        let settings = with(settings, &[("HOST", "127.0.0.1"), ("PORT", "0")]);
        let mut child = command(&settings, &["serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut logged = String::new();
        while log.read_line(&mut logged).await.unwrap() > 0 {
            let event: Value = serde_json::from_str(logged.lines().last().unwrap()).unwrap();
            if let Some(address) = event["address"].as_str() {
                let url = format!("http://{address}");
                return Self {
                    child,
                    log,
                    logged,
                    url,
                };
            }
        }
        panic!("it does not listen: {logged}");
    }

    /// What it logs next.
    pub(super) async fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.log.read_line(&mut line).await.unwrap();
        line
    }

    /// Sends SIGTERM; answers the exit code and all that was logged.
    async fn stop(mut self) -> (Option<i32>, String) {
        let id = self.child.id().unwrap().to_string();
        let killed = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(killed.unwrap().success());
        self.log.read_to_string(&mut self.logged).await.unwrap();
        let code = self.child.wait().await.unwrap().code();
        (code, self.logged)
    }
}

#[tokio::test]
async fn a_delivery_is_answered_and_the_same_message_is_replayed() {
    let app = App::new().await;
    let order = app.stale_order().await;
    let service = Service::start(&app.settings).await;
    let trigger = [
        "trigger",
        JOB,
        "--url",
        &service.url,
        "--message-id",
        "msg_by_hand",
    ];

    let first = run(&app.settings, &trigger).await;
    let second = run(&app.settings, &trigger).await;

    assert_eq!(
        (first.code, &*first.err),
        (Some(0), "attempt 1 of 4: 200 msg_by_hand\n"),
        "{first:?}"
    );
    assert_eq!(first.json()["status"], "succeeded");
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(second.json()["status"], "replayed");
    assert_eq!(second.json()["results"], first.json()["results"]);
    assert_eq!(app.order_status(order).await, "EXPIRED");
}

#[tokio::test]
async fn a_delivery_that_is_refused_exits_1_and_prints_the_refusal() {
    let app = App::new().await;
    let service = Service::start(&app.settings).await;
    let other = with(
        &app.settings,
        &[("QSTASH_CURRENT_SIGNING_KEY", "sig_another_2Wd8sKq")],
    );
    let trigger = ["trigger", JOB, "--url", &service.url, "--retries", "0"];
    let done = run(&other, &trigger).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(done.json()["code"], "unauthorized");
}

#[tokio::test]
async fn options_travel_and_the_token_is_signed_for_the_public_address() {
    let app = App::new().await;
    let public = with(
        &app.settings,
        &[("PUBLIC_URL", "https://elsewhere.example.test")],
    );
    let service = Service::start(&public).await;
    let trigger = [
        "trigger",
        JOB,
        "--url",
        &service.url,
        "--dry-run",
        "--retries",
        "0",
    ];
    let wrong = run(&app.settings, &trigger).await;
    assert_eq!(wrong.json()["code"], "unauthorized");

    let elsewhere = ["--public-url", "https://elsewhere.example.test/"];
    let right = run(&app.settings, &[&trigger[..], &elsewhere].concat()).await;
    assert_eq!(right.code, Some(0), "{right:?}");
    assert_eq!(right.json()["dry_run"], true);
}

#[rstest]
#[case::another_host("http://cron.example.test")]
#[case::a_lookalike("http://localhost.example.test")]
#[case::no_address("cron.example.test")]
#[tokio::test]
async fn a_secret_does_not_travel_in_the_clear(#[case] url: &str) {
    let settings = with(
        &Settings::new(),
        &[
            ("CRON_SECRET", CRON_SECRET),
            ("QSTASH_CURRENT_SIGNING_KEY", CURRENT_KEY),
            ("QSTASH_NEXT_SIGNING_KEY", NEXT_KEY),
        ],
    );
    let done = run(&settings, &["trigger", JOB, "--url", url]).await;
    assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
    assert!(done.err.contains(url), "{done:?}");
}

#[tokio::test]
async fn an_idle_service_ends_at_once_when_told_to_and_has_logged_no_secret() {
    let app = App::new().await;
    let service = Service::start(&app.settings).await;
    let done = run(&app.settings, &["trigger", JOB, "--url", &service.url]).await;
    assert_eq!(done.code, Some(0), "{done:?}");

    let (code, logged) = service.stop().await;

    assert_eq!(code, Some(0), "{logged}");
    assert!(logged.contains("Settled the run"), "{logged}");
    for secret in [
        CRON_SECRET,
        OPERATOR_SECRET,
        CURRENT_KEY,
        NEXT_KEY,
        "sk_test_double",
    ] {
        assert!(!logged.contains(secret), "{logged}");
    }
}

#[rstest]
#[case::short("CRON_SECRET", "too-short-a-secret")]
#[case::same("OPERATOR_SECRET", CRON_SECRET)]
#[case::no_keys("QSTASH_CURRENT_SIGNING_KEY", "")]
#[case::no_number("PORT", "eighty-eighty")]
#[case::no_database("DATABASE_URL", "localhost/jarvis")]
#[case::no_rate("STRIPE_MAX_RPS", "plenty")]
#[case::no_format("LOG_FORMAT", "novel")]
#[tokio::test]
async fn a_wrong_setting_is_one_line_that_names_it(#[case] variable: &str, #[case] value: &str) {
    let settings = with(
        &Settings::new(),
        &[
            ("DATABASE_URL", "postgres://jarvis@127.0.0.1:1/jarvis"),
            ("PUBLIC_URL", PUBLIC_URL),
            ("CRON_SECRET", CRON_SECRET),
            ("QSTASH_CURRENT_SIGNING_KEY", CURRENT_KEY),
            ("QSTASH_NEXT_SIGNING_KEY", NEXT_KEY),
            (variable, value),
        ],
    );
    let done = run(&settings, &["serve"]).await;
    assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
    assert!(
        done.err.starts_with(&format!("jarvis-cron: {variable} ")),
        "{done:?}"
    );
    assert_eq!(done.err.lines().count(), 1, "{done:?}");
    assert!(value.is_empty() || !done.err.contains(value), "{done:?}");
}

#[tokio::test]
async fn an_address_that_is_taken_exits_1_and_is_named() {
    let app = App::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let settings = with(&app.settings, &[("HOST", "127.0.0.1"), ("PORT", &port)]);
    let done = run(&settings, &["serve"]).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains(&format!("127.0.0.1:{port}")), "{done:?}");
}

#[rstest]
#[case::a_gym("weekly-reports", false)]
#[case::a_shop("expire-stale-orders", true)]
#[tokio::test]
async fn it_asks_for_a_key_of_stripe_s_where_a_job_needs_it(
    #[case] jobs: &str,
    #[case] asks: bool,
) {
    let app = App::with(&[("JOBS", jobs), ("STRIPE_SECRET_KEY", "")]).await;
    let service = Service::start(&app.settings).await;
    let (_, logged) = service.stop().await;
    assert_eq!(logged.contains("STRIPE_SECRET_KEY"), asks, "{logged}");
}
