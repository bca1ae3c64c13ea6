//! Forty nights with a freeze, a gap in a gym's readers, and visits that are
//! kept for sixty days.

use chrono::{Days, NaiveDate};
use uuid::Uuid;

use super::seed::every;
use super::*;

const NAMES: [&str; 4] = ["regular", "frozen", "gone", "leaves"];

/// A gym of 34 members, up to the fortieth night; its readers are silent from
/// the eighteenth night to the twenty-fifth.
async fn gym(app: &App) -> [Uuid; 4] {
    let gym = app.gym_in("Europe/Paris").await;
    app.scored_before(gym).await;
    let named = app.members(gym, 400).await;
    for (name, member) in NAMES.iter().zip(named) {
        app.execute(&format!(
            "update members set first_name = '{name}' where id = '{member}'"
        ))
        .await;
    }
    let [regular, frozen, gone, leaves] = named;
    let all: Vec<i32> = every(-39, 2)
        .into_iter()
        .filter(|ago| !(-24..=-17).contains(ago))
        .collect();
    for other in app.members::<30>(gym, 400).await {
        app.came(other, all.clone()).await;
    }
    app.came(regular, all.clone()).await;
    // Frozen from the second night to the fourteenth, and back two days later.
    let is_away = |ago: &i32| !(-15..=-1).contains(ago);
    app.came(frozen, all.clone().into_iter().filter(is_away).collect())
        .await;
    app.came(gone, every(45, 2)).await;
    app.came(leaves, all.into_iter().filter(|ago| *ago >= 5).collect())
        .await;
    named
}

/// The levels of the four, and the open alerts.
async fn told(app: &App, members: &[Uuid; 4]) -> String {
    let mut told = Vec::new();
    for member in members {
        told.push(format!("{:<9}", app.level(*member).await));
    }
    let alerts = app
        .rows(
            "select string_agg(kind || ' ' || coalesce(first_name, ''), ', '
                               order by kind, first_name) as open
               from alerts left join members on members.id = member_id
              where alerts.status = 'open'",
        )
        .await;
    told.push(alerts[0]["open"].as_str().unwrap_or("").trim().to_owned());
    told.join(" ")
}

/// What a night of the table says, without what aligns it.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn forty_nights_with_a_freeze_a_gap_and_sixty_days_of_visits() {
    let app = App::new().await;
    let members = gym(&app).await;
    let [_, frozen, gone, _] = members;
    app.execute("update retention_policies set keep_days = 60 where target = 'visits'")
        .await;
    let first: NaiveDate = TODAY.parse().unwrap();

    let mut nights = Vec::new();
    for night in 0..40 {
        if night == 1 {
            app.execute(&format!(
                "update members set frozen_until = date '{TODAY}' + 14 where id = '{frozen}'"
            ))
            .await;
        }
        let moment = format!("{}T02:00:00Z", first + Days::new(night));
        if night % 5 == 0 {
            let cleaned = app
                .operate("cleanup-old-data", &format!("as_of={moment}"))
                .await;
            assert_eq!(cleaned.outcome(), (200, "succeeded"), "{cleaned:?}");
        }
        let reply = app.analyse(&moment).await;
        assert_eq!(reply.results()["never_visited"], 0, "{reply:?}");
        nights.push(told(&app, &members).await);
    }

    println!("night {} open alerts", NAMES.join("   "));
    for (day, night) in first.iter_days().zip(&nights) {
        println!("{day} {night}");
    }
    let kept = format!("select count(*) from visits where member_id = '{gone}'");
    assert_eq!(app.count(&kept).await, 0);
    let nights: Vec<String> = nights.iter().map(|night| words(night)).collect();
    assert_eq!(nights[0], "low low critical low churn_risk gone");
    assert!(nights[18].starts_with("low low critical high"));
    for night in &nights[19..26] {
        assert!(night.starts_with("low low critical high"), "{night}");
        assert!(night.ends_with("visits_silent"), "{night}");
    }
    assert_eq!(
        nights[39],
        "low low critical critical churn_risk gone, churn_risk leaves"
    );
}
