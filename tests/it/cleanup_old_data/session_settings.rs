//! Where a walk stands is a moment and an id, and no moment is ever text, which a
//! session may write and read as it likes.

use serde_json::json;

use super::{GYM, JOB, TARGETS, counts, fill, in_a_gym};
use crate::app::App;
use crate::connections::app_by_a_way;

/// A service behind a pooler that drops what it asks for, whose sessions write
/// the day before the month, in Tokyo.
async fn app() -> App {
    let (app, way) = app_by_a_way().await;
    for setting in ["datestyle = 'SQL, DMY'", "timezone = 'Asia/Tokyo'"] {
        app.execute(&format!(
            "do $$ begin
                 execute format('alter role %I in database %I set {}', current_user, current_database());
             end $$",
            setting.replace('\'', "''")
        ))
        .await;
    }
    way.drop_start_up_parameters();
    in_a_gym(app).await
}

#[tokio::test]
async fn every_walk_comes_to_its_end_whatever_the_session_makes_of_dates() {
    let app = app().await;
    fill(&app, 40).await;

    let reply = app.operate(JOB, "batch_size=3").await;

    assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
    for target in TARGETS {
        assert_eq!(counts(&reply, target), json!([40, 0, 0]), "{target}");
    }
}

#[tokio::test]
async fn a_walk_goes_past_moments_that_no_calendar_holds() {
    let app = app().await;
    app.execute(&format!(
        "insert into visits (gym_id, member_id, checked_in_at)
         select '{GYM}', (select id from members), at::timestamptz + n * interval '1 microsecond'
           from unnest(array['-infinity', '4000-02-03 BC', '2019-12-13T11:12:13.123456Z']) at,
                generate_series(1, 5) n"
    ))
    .await;

    let reply = app.operate(JOB, "batch_size=2").await;

    assert_eq!(counts(&reply, "visits"), json!([15, 0, 0]), "{reply:?}");
}

#[test]
fn no_moment_is_written_or_read_as_text_by_a_statement() {
    let record = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let mut read = 0;
    for file in std::fs::read_dir(record).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        read += 1;
        for cast in ["::text::timestamptz", "_at::text", "max(at)::text"] {
            assert!(!text.contains(cast), "{cast} is in {text}");
        }
    }
    assert!(read > 100, "{read} statements");
}
