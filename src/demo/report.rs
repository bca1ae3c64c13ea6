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
        if let Some(link) = links
            .as_ref()
            .and_then(|links| to_report(links, &slug, week, expires))
        {
            println!("  {link}");
        }
    }
    Ok(())
}

/// Prints what to try next.
pub(super) fn print_next_steps(port: u16) {
    println!(
        "
Serving on http://127.0.0.1:{port} until Ctrl-C.

The dashboard: http://127.0.0.1:{port}/
  as user your name, as password the OPERATOR_SECRET in .demo/env

In another terminal:

  . .demo/env

  # as an operator: what would a run do?
  curl -s -X POST -H \"Authorization: Bearer $OPERATOR_SECRET\" -H 'X-Actor: me' \\
       \"$PUBLIC_URL/api/cron/expire-stale-orders?dry_run=true\"

  # the scheduler's secret without its signature opens nothing
  curl -si -X POST -H \"Authorization: Bearer $CRON_SECRET\" $PUBLIC_URL/api/cron/expire-stale-orders

  # as QStash: signed; the same message twice runs once
  cargo run --release --quiet -- trigger expire-stale-orders --message-id msg_1
  cargo run --release --quiet -- trigger expire-stale-orders --message-id msg_1

  # apply the schedules to a QStash double, and again: the second time nothing changes
  cargo run --release --quiet -- schedules plan
  cargo run --release --quiet -- schedules apply
  cargo run --release --quiet -- schedules plan --check

  # how the jobs stand, and what they did so far
  curl -s -H \"Authorization: Bearer $OPERATOR_SECRET\" $PUBLIC_URL/api/jobs
  curl -s -H \"Authorization: Bearer $OPERATOR_SECRET\" $PUBLIC_URL/api/jobs/metrics
  curl -s -H \"Authorization: Bearer $OPERATOR_SECRET\" $PUBLIC_URL/metrics

  # is the scheduler silent? anybody may ask
  curl -s $PUBLIC_URL/health/schedules

  # keep a job from running, and let it run again
  curl -s -H \"Authorization: Bearer $OPERATOR_SECRET\" -H 'X-Actor: me' -H 'Content-Type: application/json' \\
       -d '{{\"reason\": \"stocktaking\"}}' $PUBLIC_URL/api/jobs/expire-stale-orders/pause
  curl -s -X DELETE -H \"Authorization: Bearer $OPERATOR_SECRET\" $PUBLIC_URL/api/jobs/expire-stale-orders/pause

  # a link to a weekly report for a reader without a secret, and the mails that were sent
  cargo run --release --quiet -- reports link lyon-part-dieu 2026-W05 --days 7
  curl -s $RESEND_API_BASE/_double/emails

  # what happened
  psql $DATABASE_URL -c \"select \\\"timestamp\\\", message from system_logs where log_type like 'cron_%' order by 1 desc limit 10\"

  # a customer pays after all: set the intent's status at the Stripe double
  curl -s \"$STRIPE_API_BASE/_double/payment_intents?status=requires_action\"
  curl -s -d status=succeeded $STRIPE_API_BASE/_double/payment_intents/<id>/status
"
    );
}
