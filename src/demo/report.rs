//! What the demo prints: the table of runs, and what to try next.

use chrono::{Duration, Utc};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use crate::cli::call::Answer;
use crate::config::Settings;
use crate::reports::links::to_report;
use crate::reports::week::IsoWeek;

/// How wide the table is, in characters.
const WIDTH: u16 = 110;

/// Prints what the service answered for each job; answers whether all succeeded.
pub(super) fn runs(answers: &[(&str, Answer)]) -> bool {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(WIDTH);
    table.set_header(["job", "answer", "status", "ms", "results"]);
    for (job, Answer { status, body, .. }) in answers {
        let text = |name: &str| match &body[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        table.add_row([
            (*job).to_owned(),
            status.to_string(),
            text("status"),
            text("duration_ms"),
            results(&body["results"]),
        ]);
    }
    println!("{table}");
    let mut statuses = answers.iter().map(|(_, answer)| &answer.body["status"]);
    statuses.all(|status| status == "succeeded")
}

/// Numbers that are not zero, and how many entries lists have.
fn results(results: &Value) -> String {
    let Value::Object(results) = results else {
        return results.to_string();
    };
    let counts = results.iter().map(|(name, value)| match value {
        Value::Array(entries) => (name, entries.len().to_string()),
        value => (name, value.to_string()),
    });
    let counts: Vec<String> = counts
        .filter(|(_, count)| count != "0")
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    counts.join(", ")
}

/// Prints a link to the report of each sample gym, to be opened in a browser.
pub(super) async fn reports(settings: &Settings, database: &str) -> anyhow::Result<()> {
    let links = settings.links()?;
    let mut db = PgConnection::connect(database).await?;
    let reports: Vec<(String, i32, i32)> = sqlx::query_as(
        "select slug, iso_year, iso_week
           from weekly_reports
           join gyms on gyms.id = gym_id
          order by slug
          limit 3",
    )
    .fetch_all(&mut db)
    .await?;
    db.close().await?;
    #[expect(clippy::disallowed_methods, reason = "the links are for today")]
    let expires = Utc::now() + Duration::days(7);
    println!("\nThe weekly reports, for a week from now:");
    for (slug, year, week) in reports {
        let week = IsoWeek {
            year,
            week: week.cast_unsigned(),
        };
        let links = links.as_ref();
        if let Some(link) = links.and_then(|links| to_report(links, &slug, week, expires)) {
            println!("  {link}");
        }
    }
    Ok(())
}

/// Prints what to try next.
pub(super) fn print_next_steps(port: u16) {
    let steps = include_str!("next_steps.txt");
    println!("{}", steps.replace("{port}", &port.to_string()));
}
