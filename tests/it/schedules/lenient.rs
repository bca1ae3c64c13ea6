//! A list that is not quite as documented is read all the same.

use super::*;

/// The plan when QStash lists its schedules changed like this.
async fn plan_of(change: impl Fn(&mut Value)) -> (Qstash, Value) {
    let qstash = Qstash::applied().await;
    let deployed = &Schedules::deployed().schedules;
    let listed: Value = deployed
        .iter()
        .map(|schedule| {
            let mut listed = qstash.double.schedule(&schedule.id).unwrap();
            change(&mut listed);
            listed
        })
        .collect();
    qstash.double.list_instead(listed);
    let plan = qstash.run(&["plan", "--json"]).await;
    assert_eq!(plan.code, Some(0), "{plan:?}");
    let plan = plan.json();
    (qstash, plan)
}

fn remove(listed: &mut Value, names: &[&str]) {
    for name in names {
        listed.as_object_mut().unwrap().remove(*name);
    }
}

#[rstest]
#[case::headers_as_texts(|listed: &mut Value| {
    let value = listed["header"]["Authorization"][0].clone();
    listed["header"] = json!({ "authorization": value, "content-type": "application/json" });
})]
#[case::a_body_in_base64(|listed: &mut Value| {
    remove(listed, &["body"]);
    listed["bodyBase64"] = json!("e30=");
})]
#[case::no_flow_control(|listed: &mut Value| {
    for name in ["parallelism", "rate", "period", "ratePerSecond", "delay"] {
        listed[name] = json!(0);
    }
    for name in ["flowControlKey", "queueName", "callback", "retryDelayExpression"] {
        listed[name] = json!("");
    }
    listed["labels"] = json!([]);
})]
#[case::unknown_fields(|listed: &mut Value| listed["moonPhase"] = json!({ "full": true }))]
#[case::a_time_in_seconds(|listed: &mut Value| listed["timeout"] = json!(60))]
#[case::a_time_in_milliseconds(|listed: &mut Value| listed["timeout"] = json!(60_000))]
#[case::a_time_as_a_bare_text(|listed: &mut Value| listed["timeout"] = json!("60"))]
#[case::a_time_with_a_fraction(|listed: &mut Value| listed["timeout"] = json!(60.0))]
#[case::no_method(|listed: &mut Value| remove(listed, &["method", "isPaused", "createdAt"]))]
#[case::other_kinds(|listed: &mut Value| {
    listed["createdAt"] = json!("yesterday");
    listed["isPaused"] = json!("no");
    listed["lastScheduleStates"] = json!(["SUCCESS"]);
    listed["nextScheduleTime"] = json!("soon");
})]
#[tokio::test]
async fn what_says_the_same_in_other_words_is_unchanged(#[case] change: fn(&mut Value)) {
    let (_, plan) = plan_of(change).await;
    assert_eq!(plan["differs"], false, "{plan:#}");
    assert_eq!(plan["schedules"][0]["unclear"], json!([]));
}

#[tokio::test]
async fn what_is_not_listed_cannot_be_compared_and_is_no_difference() {
    let silent = ["retries", "timeout", "header", "failureCallbackHeader"];
    let (_, plan) = plan_of(|listed| remove(listed, &silent)).await;
    assert_eq!(plan["differs"], false, "{plan:#}");
    let unclear = plan["schedules"][0]["unclear"].as_array().unwrap();
    let fields: Vec<&Value> = unclear.iter().map(|one| &one["field"]).collect();
    assert_eq!(fields, ["retries", "timeout", "Authorization"]);
}

#[rstest]
#[case::no_list(json!({ "schedules": [] }))]
#[case::no_ids(json!([{ "cron": "0 5 * * *" }]))]
#[case::ids_that_are_none(json!([{ "scheduleId": 7 }]))]
#[case::texts(json!(["jarvis-daily-churn"]))]
#[tokio::test]
async fn what_is_no_list_of_schedules_is_not_taken_for_an_empty_one(#[case] list: Value) {
    let qstash = Qstash::new().await;
    qstash.double.list_instead(list);
    let done = qstash.run(&["apply", "--prune"]).await;
    assert_eq!((done.code, &*done.out), (Some(1), ""), "{done:?}");
    assert!(done.err.contains("QStash's answer is unclear"), "{done:?}");
    assert_eq!(qstash.writes(0), Vec::<String>::new());
}

#[tokio::test]
async fn an_id_that_none_can_have_is_never_deleted() {
    let qstash = Qstash::new().await;
    let listed =
        json!([{ "scheduleId": "jarvis-x/../../messages" }, { "scheduleId": "jarvis-\u{1b}[2J" }]);
    qstash.double.list_instead(listed);
    let done = qstash.run(&["apply", "--prune"]).await;
    assert!(!done.out.contains('\u{1b}'), "{done:?}");
    let deleted = qstash.writes(0).into_iter();
    let deleted: Vec<_> = deleted.filter(|call| call.starts_with("DELETE")).collect();
    assert_eq!(deleted, Vec::<String>::new());
}

#[tokio::test]
async fn what_qstash_keeps_otherwise_than_sent_is_not_called_done() {
    let (qstash, plan) = plan_of(|listed| listed["retries"] = json!(1)).await;
    assert_eq!(plan["differs"], true);
    let done = qstash.run(&["apply"]).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    let line =
        "NOT DONE   jarvis-daily-churn, to update: QStash accepted it and lists another retries\n";
    assert!(done.out.contains(line), "{done:?}");
}
