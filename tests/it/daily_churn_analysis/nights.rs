//! Forty nights with a freeze, a gap in a gym's readers, and visits that are
//! kept for sixty days.

use chrono::{Days, NaiveDate};

use super::seed::every;
use super::*;

/// The levels of the four, the others' highest one, and the open alerts.
async fn told(app: &App, names: &[(&str, uuid::Uuid); 4]) -> String {
    let mut line = String::new();
    for (_, member) in names {
        line += &format!("{:<10}", app.level(*member).await);
    }
    let alerts = app
        .rows(
            "select string_agg(kind || ' ' || coalesce(first_name, ''), ', '
                               order by kind, first_name) as open
               from alerts left join members on members.id = member_id
              where alerts.status = 'open'",
        )
        .await;
    line + alerts[0]["open"].as_str().unwrap_or("").trim()
}

#[tokio::test]
async fn forty_nights_with_a_freeze_a_gap_and_sixty_days_of_visits() {
    let app = App::new().await;
    let gym = app.gym_in("Europe/Paris").await;
    let [regular, frozen, gone, leaves] = app.members(gym, 400).await;
    let names = [
        ("regular", regular),
        ("frozen", frozen),
        ("gone", gone),
        ("leaves", leaves),
    ];
    for (name, member) in &names {
        app.execute(&format!(
            "update members set first_name = '{name}' where id = '{member}'"
        ))
        .await;
    }
    // Up to the fortieth night; but for the days on which the readers are silent.
    let open = |ago: &i32| !(-24..=-17).contains(ago);
    let all: Vec<i32> = every(-39, 2).into_iter().filter(open).collect();
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
    app.execute("update retention_policies set keep_days = 60 where target = 'visits'")
        .await;
    let first: NaiveDate = TODAY.parse().unwrap();

    let mut lines = vec![format!(
        "{:<12}{:<10}{:<10}{:<10}{:<10}open alerts",
        "night", "regular", "frozen", "gone", "leaves"
    )];
    for night in 0..40 {
        let day = first + Days::new(night);
        if night == 1 {
            let change = format!("frozen_until = date '{TODAY}' + 14");
            app.execute(&format!(
                "update members set {change} where id = '{frozen}'"
            ))
            .await;
        }
        let moment = format!("{day}T02:00:00Z");
        if night % 5 == 0 {
            let cleaned = app
                .operate("cleanup-old-data", &format!("as_of={moment}"))
                .await;
            assert_eq!(cleaned.outcome(), (200, "succeeded"), "{cleaned:?}");
        }
        let reply = app.analyse(&moment).await;
        assert_eq!(reply.results()["never_visited"], 0, "{reply:?}");
        lines.push(format!("{day}  {}", told(&app, &names).await));
    }

    println!("{}", lines.join("\n"));
    let kept = format!("select count(*) from visits where member_id = '{gone}'");
    assert_eq!(app.count(&kept).await, 0);
    let at = |night: usize| {
        lines[night + 1]
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(at(0), "2025-06-16 low low critical low churn_risk gone");
    assert!(at(18).starts_with("2025-07-04 low low critical high"));
    for night in 19..26 {
        let line = at(night);
        assert!(line.contains("low low critical high"), "{line}");
        assert!(line.ends_with("visits_silent"), "{line}");
    }
    assert_eq!(
        at(39),
        "2025-07-25 low low critical critical churn_risk gone, churn_risk leaves"
    );
}
