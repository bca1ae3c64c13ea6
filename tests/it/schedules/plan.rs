//! `schedules plan`: what would be done, and what it says besides.

use super::*;

#[tokio::test]
async fn an_empty_account_gets_all_six_and_the_plan_writes_nothing() {
    let qstash = Qstash::new().await;

    let plan = qstash.run(&["plan"]).await;

    assert_eq!((plan.code, &*plan.err), (Some(0), ""), "{plan:?}");
    assert!(
        plan.out.contains("6 to create, 0 to update, 0 unchanged"),
        "{plan:?}"
    );
    assert!(
        plan.out
            .contains("+ create     jarvis-daily-churn\n             destination: https://cron.example.test/api/cron/daily-churn-analysis\n             cron: CRON_TZ=Europe/Paris 0 2 * * *\n"),
        "{}", plan.out
    );
    assert!(
        plan.out
            .contains("Authorization: Bearer CRON_SECRET, redacted")
    );
    assert!(!plan.out.contains(CRON_SECRET));
    assert_eq!(qstash.writes(0), Vec::<String>::new());
}

#[tokio::test]
async fn a_drifted_a_paused_an_orphaned_and_a_foreign_schedule_are_told_apart() {
    let qstash = Qstash::applied().await;
    let other = [("upstash-cron", "CRON_TZ=Europe/Paris 0 1 * * *")];
    qstash
        .drifted(CHURN, "daily-churn-analysis", &other, "{}")
        .await;
    assert_eq!(qstash.run(&["pause", "weekly-reports"]).await.code, Some(0));
    let route = format!("{PUBLIC_URL}/api/cron/mow-the-lawn");
    qstash
        .made_by_hand("jarvis-mow-the-lawn", &route, "0 5 * * *")
        .await;
    qstash
        .made_by_hand("scd_5xyz", "https://else.test/hook", "0 5 * * *")
        .await;

    let plan = qstash.run(&["plan"]).await;

    assert_eq!(plan.code, Some(0), "{plan:?}");
    for line in [
        "~ update     jarvis-daily-churn\n             cron: CRON_TZ=Europe/Paris 0 1 * * * -> CRON_TZ=Europe/Paris 0 2 * * *\n",
        "= unchanged  jarvis-weekly-reports (paused, and stays so)\n",
        "- orphan     jarvis-mow-the-lawn (not in the file, or not in JOBS; apply --prune deletes it)\n",
        "  foreign    scd_5xyz (not ours, never touched)\n",
        "0 to create, 1 to update, 5 unchanged, 1 orphaned, 1 foreign; 1 paused\n",
    ] {
        assert!(plan.out.contains(line), "{line:?} is not in\n{}", plan.out);
    }
}

#[tokio::test]
async fn a_check_exits_1_on_a_difference_and_0_on_a_pause_or_a_stranger() {
    let qstash = Qstash::applied().await;
    qstash.run(&["pause", "weekly-reports"]).await;
    qstash
        .made_by_hand("scd_5xyz", "https://else.test/hook", "0 5 * * *")
        .await;
    assert_eq!(qstash.run(&["plan", "--check"]).await.code, Some(0));

    qstash
        .made_by_hand("jarvis-old", "https://else.test/hook", "0 5 * * *")
        .await;
    let orphan = qstash.run(&["plan", "--check", "--json"]).await;
    assert_eq!(orphan.code, Some(1), "{orphan:?}");
    assert_eq!(orphan.json()["differs"], true);

    qstash.call(Method::DELETE, "jarvis-old", &[], "").await;
    assert_eq!(qstash.run(&["plan", "--check"]).await.code, Some(0));
    qstash.call(Method::DELETE, REPORTS, &[], "").await;
    assert_eq!(qstash.run(&["plan", "--check"]).await.code, Some(1));
}

#[tokio::test]
async fn a_stranger_that_calls_a_job_of_ours_is_pointed_out() {
    let qstash = Qstash::applied().await;
    let route = format!("{PUBLIC_URL}/api/cron/weekly-reports");
    qstash.made_by_hand("scd_5xyz", &route, "0 5 * * *").await;
    let plan = qstash.run(&["plan"]).await;
    let line = "  foreign    scd_5xyz (not ours, never touched; CALLS weekly-reports HERE TOO)\n";
    assert!(plan.out.contains(line), "{}", plan.out);
}

#[rstest]
#[case::free(&[], "1000 messages a day (the free plan's quota as others report it; set yours with --quota): enough, but not for a day on which everything fails.")]
#[case::little(&["--quota", "100"], "100 messages a day (your quota): TOO LITTLE: not even a day without failures fits.")]
#[case::plenty(&["--quota", "50000"], "50000 messages a day (your quota): enough, also for a day on which everything fails.")]
#[tokio::test]
async fn deliveries_are_counted_against_the_quota(#[case] quota: &[&str], #[case] expected: &str) {
    let qstash = Qstash::new().await;
    let plan = qstash.run(&[&["plan"], quota].concat()).await;
    assert!(plan.out.contains(expected), "{}", plan.out);
}

#[tokio::test]
async fn a_read_only_token_is_enough_to_plan_and_to_list() {
    let qstash = Qstash::applied().await;
    let token = jarvis_cron::demo::qstash_double::READ_ONLY_TOKEN;
    for command in ["plan", "list"] {
        let done = qstash.run_with("QSTASH_TOKEN", token, &[command]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
    }
}

#[rstest]
#[case::plan(&["plan"])]
#[case::apply(&["apply"])]
#[case::list(&["list"])]
#[case::pause(&["pause", "weekly-reports"])]
#[tokio::test]
async fn a_token_of_another_region_is_explained(#[case] arguments: &[&str]) {
    let qstash = Qstash::new().await;
    let token = jarvis_cron::demo::qstash_double::ELSEWHERE_TOKEN;
    let done = qstash.run_with("QSTASH_TOKEN", token, arguments).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    for part in [
        "user not found in this region",
        "QSTASH_REGION",
        "QSTASH_URL",
    ] {
        assert!(done.err.contains(part), "{done:?}");
    }
    assert!(!done.err.contains(token), "{done:?}");
}

#[rstest]
#[case::this_machine(
    "http://127.0.0.1:8080",
    "is on this machine, where QStash cannot reach it"
)]
#[case::this_machine_by_name("https://localhost", "is on this machine, where QStash cannot")]
#[case::plain_http("http://cron.example.test", "must be an https address")]
#[tokio::test]
async fn an_address_that_the_real_qstash_cannot_call_is_refused(
    #[case] url: &str,
    #[case] why: &str,
) {
    let mut settings = Qstash::new().await.settings;
    settings.insert("PUBLIC_URL".to_owned(), url.to_owned());
    // QStash is not called: the settings are checked first.
    settings.insert("QSTASH_URL".to_owned(), "https://192.0.2.1".to_owned());
    for command in ["plan", "apply"] {
        let done = run(&settings, &["schedules", command]).await;
        assert_eq!(done.code, Some(2), "{done:?}");
        let error = format!("jarvis-cron: PUBLIC_URL {why}");
        assert!(done.err.starts_with(&error), "{done:?}");
    }
}

#[tokio::test]
async fn a_stand_in_on_this_machine_may_call_this_machine() {
    let qstash = Qstash::new().await;
    let done = qstash
        .run_with("PUBLIC_URL", "http://127.0.0.1:8080", &["apply"])
        .await;
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[tokio::test]
async fn without_a_token_qstash_is_not_called() {
    let mut settings = Qstash::new().await.settings;
    settings.remove("QSTASH_TOKEN");
    let done = run(&settings, &["schedules", "list"]).await;
    assert_eq!(done.code, Some(2), "{done:?}");
    let error = "jarvis-cron: QSTASH_TOKEN is not set; copy it from the QStash console\n";
    assert_eq!(done.err, error);
}

#[tokio::test]
async fn a_base_of_the_file_s_own_is_called_and_told_apart_from_the_setting() {
    let qstash = Qstash::new().await;
    let file = Written::new(&file(|file| {
        file["base_url"] = json!("https://b.test/cron");
    }));
    let plan = qstash.run(&["plan", "--file", file.path()]).await;
    assert!(
        plan.out
            .contains("destination: https://b.test/cron/api/cron/weekly-reports"),
        "{plan:?}"
    );
    assert!(
        plan.out.contains("The file's base_url is not PUBLIC_URL"),
        "{plan:?}"
    );
}
