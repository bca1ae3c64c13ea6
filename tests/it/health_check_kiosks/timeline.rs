//! Five nights in the life of a small fleet, each judged at three in the
//! morning. `--nocapture` prints them.

use std::fmt::Write;

use super::seed::BY_DAY;
use crate::app::App;

/// What happens before each night: heartbeats, and what people do.
const DAYS: [&[&str]; 5] = [
    // Monday: the cardio kiosk falls silent in the afternoon; the others are heard until closing.
    &[
        "steady 2026-01-12T20:59:40Z",
        "cardio 2026-01-12T15:10:00Z",
        "studio 2026-01-12T20:40:00Z",
        "boxing 2026-01-12T20:59:30Z",
    ],
    // Tuesday: the studio's Wi-Fi is fixed.
    &[
        "steady 2026-01-13T20:59:40Z",
        "studio 2026-01-13T20:59:50Z",
        "boxing 2026-01-13T20:59:30Z",
    ],
    // Wednesday: the power fails at noon.
    &[
        "steady 2026-01-14T11:00:00Z",
        "studio 2026-01-14T11:00:00Z",
        "boxing 2026-01-14T11:00:00Z",
    ],
    // Thursday: it is back, but not for boxing; the studio is taken out for repair.
    &[
        "steady 2026-01-15T20:59:40Z",
        "studio maintenance_until = '2026-01-16T12:00:00Z'",
    ],
    // Friday: cardio is back; boxing is not; the studio is back from its repair.
    &[
        "steady 2026-01-16T20:59:40Z",
        "cardio 2026-01-16T20:59:10Z",
        "studio 2026-01-16T20:59:20Z",
    ],
];

#[tokio::test]
async fn five_nights() {
    let app = App::new().await;
    let gym = app.gym(BY_DAY).await;
    for name in ["steady", "cardio", "studio", "boxing"] {
        let kiosk = app
            .kiosk_at("2026-01-12T12:00:00Z", gym, "online", "1 second")
            .await;
        app.on(kiosk, &format!("slug = '{name}', name = initcap('{name}')"))
            .await;
    }

    let mut table = format!(
        "{:<8}{:<9}{:<9}{:<9}{:<9} alerts that stand open\n",
        "night", "steady", "cardio", "studio", "boxing"
    );
    for (day, events) in (13..).zip(DAYS) {
        for event in events {
            happens(&app, event).await;
        }
        app.check(&format!("2026-01-{day}T02:00:00Z")).await;
        writeln!(table, "{}", night(&app, day).await).unwrap();
    }

    println!("{table}");
    insta::assert_snapshot!(table.trim_end(), @"
    night   steady   cardio   studio   boxing    alerts that stand open
    Jan 13  online   offline  degraded online    kiosk_offline cardio warning x1; kiosk_degraded studio warning x1
    Jan 14  online   offline  online   online    kiosk_offline cardio high x2
    Jan 15  offline  offline  offline  offline   gym_offline high x1
    Jan 16  online   offline  offline  offline   kiosk_offline cardio critical x3; kiosk_offline boxing warning x1
    Jan 17  online   online   online   offline   kiosk_offline boxing high x2
    ");
}

async fn happens(app: &App, event: &str) {
    let (slug, what) = event.split_once(' ').unwrap();
    let set = if what.contains('=') {
        what.to_owned()
    } else {
        format!("last_heartbeat_at = '{what}'")
    };
    app.execute(&format!("update kiosks set {set} where slug = '{slug}'"))
        .await;
}

/// One line of the table.
async fn night(app: &App, day: i32) -> String {
    let mut line = format!("Jan {day:<4}");
    for slug in ["steady", "cardio", "studio", "boxing"] {
        let status = app
            .text(&format!("select status from kiosks where slug = '{slug}'"))
            .await;
        write!(line, "{status:<9}").unwrap();
    }
    let alerts = app
        .text(
            "select coalesce(string_agg(concat_ws(' ', kind, slug, severity, 'x' || occurrences), '; '
                             order by opened_at, slug), 'none')
               from alerts a left join kiosks k on k.id = a.kiosk_id where a.status = 'open'",
        )
        .await;
    format!("{line} {alerts}")
}
