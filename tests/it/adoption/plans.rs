//! What clean-up asks of a gym's own tables is found by the indexes of the worked file.

use super::*;
use crate::cleanup_old_data::plans::plan_of;

const FIRST: &str = "'00000000-0000-0000-0000-000000000000'";
const GONE: &str = "array['00000000-0000-0000-0000-0000000000dd']::uuid[]";
const WORDS: &str = "'ottoline <-> grandchamp'";

#[tokio::test]
async fn whom_a_text_names_is_found_by_an_index() {
    let app = a_gym().await;
    for (statement, last, index) in [
        ("set transcript = null", Some("5000"), "jarvis_events_trace"),
        (
            "redacted_at = coalesce",
            Some("now()"),
            "jarvis_sessions_trace",
        ),
        ("set message =", None, "jarvis_logs_trace"),
    ] {
        let values: Vec<&str> = [GONE, WORDS].into_iter().chain(last).collect();

        let plan = plan_of(&app, &[statement, "words_in"], &values).await;

        assert_eq!(plan.matches(index).count(), 2, "{plan}");
        assert!(!plan.contains("Seq Scan on conversation_events"), "{plan}");
        assert!(!plan.contains("Seq Scan on openai"), "{plan}");
        assert!(!plan.contains("Seq Scan on system_logs"), "{plan}");
        assert!(!plan.contains("jarvis_events_walk"), "{plan}");
    }
}

#[tokio::test]
async fn whether_a_text_names_a_held_member_is_found_by_an_index() {
    let app = a_gym().await;
    let now = "now()";
    let values = [
        "true",
        now,
        now,
        "'-infinity'",
        FIRST,
        "200",
        "0",
        "false",
        now,
    ];

    let plan = plan_of(&app, &["from member_contacts c", "looked!"], &values).await;

    for index in [
        "jarvis_events_trace",
        "jarvis_sessions_trace",
        "jarvis_logs_trace",
    ] {
        assert!(plan.contains(index), "{index} is not in\n{plan}");
    }
}

#[rstest]
#[case("conversation_events e", "'0'", "jarvis_events_walk")]
#[case("conversation_sessions s", FIRST, "jarvis_sessions_end")]
#[case("visits v", "'0'", "jarvis_visits_walk")]
#[case("system_logs g", "'0'", "jarvis_logs_walk")]
#[tokio::test]
async fn a_batch_is_a_span_of_an_index(#[case] rows: &str, #[case] id: &str, #[case] index: &str) {
    let app = a_gym().await;
    app.execute("analyze").await;
    let (from, upto) = ("now() - interval '4 years'", "now() - interval '3 years'");
    let erase = match rows {
        "conversation_sessions s" => format!("update {rows}\n"),
        _ => format!("delete from {rows}\n"),
    };
    let walk = format!("from {rows}\n               where");
    let looked = [
        "false", "now()", "now()", from, id, "5000", "0", "false", "now()",
    ];
    let erased = ["false", "now()", "now()", from, id, upto, id, "false"];

    let plans = [
        plan_of(&app, &[&walk, "looked!"], &looked).await,
        plan_of(&app, &[&erase, "$7"], &erased).await,
    ];

    for plan in plans {
        assert!(plan.contains(index), "{plan}");
        for table in [
            "member_visits",
            "conversation_events",
            "openai_realtime_sessions",
            "system_logs",
        ] {
            assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
        }
    }
}
