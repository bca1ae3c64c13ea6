//! `schedules apply`: what is written, what is not, and what stays paused.

use super::*;

#[tokio::test]
async fn applying_twice_writes_once() {
    let qstash = Qstash::new().await;

    let first = qstash.run(&["apply"]).await;
    let written = qstash.writes(0);
    let second = qstash.run(&["apply"]).await;

    assert_eq!((first.code, &*first.err), (Some(0), ""), "{first:?}");
    assert!(
        first.out.contains("created    jarvis-daily-churn\n"),
        "{first:?}"
    );
    assert!(
        first
            .out
            .ends_with("6 done, 0 left as they are, 0 not done\n"),
        "{first:?}"
    );
    assert_eq!(written.len(), 6);
    assert_eq!(second.code, Some(0), "{second:?}");
    assert!(
        second
            .out
            .ends_with("0 done, 6 left as they are, 0 not done\n"),
        "{second:?}"
    );
    assert_eq!(qstash.writes(0), written);
}

#[tokio::test]
async fn two_at_the_same_time_end_the_same() {
    let qstash = Qstash::new().await;
    let apply = || qstash.run(&["apply"]);
    let (one, other) = tokio::join!(apply(), apply());
    assert_eq!(
        (one.code, other.code),
        (Some(0), Some(0)),
        "{one:?} {other:?}"
    );
    assert_eq!(qstash.run(&["plan", "--check"]).await.code, Some(0));
}

#[rstest]
#[case::qstash_keeps_it_paused(false)]
#[case::qstash_resumes_it(true)]
#[tokio::test]
async fn a_paused_schedule_stays_paused(#[case] resumes: bool) {
    let qstash = Qstash::applied().await;
    qstash.double.upsert_resumes(resumes);
    qstash.run(&["pause", "daily-churn-analysis"]).await;
    // A change by hand, which resumes too, and a pause after it.
    let other = [("upstash-retries", "1")];
    qstash
        .drifted(CHURN, "daily-churn-analysis", &other, "{}")
        .await;
    qstash.run(&["pause", "daily-churn-analysis"]).await;

    let done = qstash.run(&["apply"]).await;
    let rewritten = qstash.run(&["apply", "--rewrite"]).await;

    assert_eq!((done.code, rewritten.code), (Some(0), Some(0)), "{done:?}");
    assert!(
        done.out
            .contains("updated    jarvis-daily-churn (paused)\n"),
        "{done:?}"
    );
    assert_eq!(qstash.double.schedule(CHURN).unwrap()["retries"], 3);
    assert!(qstash.is_paused(CHURN));
    assert!(!qstash.is_paused(REPORTS));
}

#[tokio::test]
async fn only_our_orphans_are_deleted_and_only_when_asked() {
    let qstash = Qstash::applied().await;
    qstash
        .made_by_hand("jarvis-old", "https://else.test/hook", "0 5 * * *")
        .await;
    // Like ours, and not ours.
    for id in ["scd_5xyz", "jarvis", "my-jarvis-old", "Jarvis-old"] {
        qstash
            .made_by_hand(id, "https://else.test/hook", "0 5 * * *")
            .await;
    }
    let from = qstash.double.calls().len();

    let kept = qstash.run(&["apply"]).await;
    assert_eq!(kept.code, Some(0), "{kept:?}");
    assert!(kept.out.contains("orphan     jarvis-old\n"), "{kept:?}");
    assert_eq!(qstash.writes(from), Vec::<String>::new());

    let pruned = qstash.run(&["apply", "--prune"]).await;
    assert_eq!(pruned.code, Some(0), "{pruned:?}");
    assert!(pruned.out.contains("deleted    jarvis-old\n"), "{pruned:?}");
    assert_eq!(qstash.writes(from), ["DELETE /v2/schedules/jarvis-old"]);
    assert_eq!(qstash.actions().await.len(), 6 + 4);
}

#[tokio::test]
async fn a_schedule_of_the_file_given_is_made_and_one_it_lacks_is_an_orphan() {
    let qstash = Qstash::applied().await;
    let file = Written::new(&file(|file| {
        file["schedules"][4]["id"] = json!("jarvis-churn");
    }));
    let done = qstash
        .run(&["apply", "--prune", "--file", file.path()])
        .await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(qstash.double.schedule("jarvis-churn").is_some());
    assert!(qstash.double.schedule(CHURN).is_none());
}

#[tokio::test]
async fn everything_is_sent_each_time_and_nothing_is_deduplicated() {
    let qstash = Qstash::applied().await;
    let other = [
        ("upstash-retries", "1"),
        ("upstash-failure-callback", ""),
        ("upstash-redact-fields", ""),
    ];
    qstash
        .drifted(CHURN, "daily-churn-analysis", &other, "")
        .await;

    qstash.run(&["apply"]).await;

    let posts = qstash.double.calls().into_iter();
    let mut sent = posts
        .filter(|call| call.header("upstash-schedule-id") == Some(CHURN))
        .map(|call| {
            let names = call.headers.keys().map(ToString::to_string);
            let mut names: Vec<String> =
                names.filter(|name| name.starts_with("upstash-")).collect();
            names.sort();
            (names, call.body)
        });
    let (first, last) = (sent.next().unwrap(), sent.next_back().unwrap());
    assert_eq!(first, last);
    let has = |part: &str| first.0.iter().any(|name| name.contains(part));
    assert!(
        has("failure-callback") && has("redact") && !has("deduplication"),
        "{first:?}"
    );
    assert_eq!(qstash.planned(CHURN).await["action"], "unchanged");
}
