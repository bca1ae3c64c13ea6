//! The report as CSV and as JSON.
//!
//! CSV after RFC 4180: commas, quotes doubled, CRLF; numbers with a point in
//! every language, and labels in the reader's. Text that a spreadsheet would
//! take for a formula gets an apostrophe before it
//! (<https://owasp.org/www-community/attacks/CSV_Injection>).

use serde_json::{Value, json};

use super::i18n::Language;
use super::stored::Stored;

/// The report as a table of one number per line.
#[must_use]
pub fn csv(report: &Stored, language: Language) -> String {
    let mut table = Table(String::new());
    table.line(&["section", "item", "label", "value", "previous", "change"]);
    headlines(report, language, &mut table);
    calendar(report, language, &mut table);
    people_and_topics(report, language, &mut table);
    table.0
}

/// The report as it is stored, with its gym and the names of its members.
#[must_use]
pub fn json(report: &Stored) -> Value {
    let mut metrics = json!(report.metrics);
    for member in metrics["at_risk"].as_array_mut().into_iter().flatten() {
        let id = member["member_id"].as_str().and_then(|id| id.parse().ok());
        let name = id.and_then(|id| report.names.get(&id));
        member["name"] = json!(name);
    }
    json!({
        "gym": { "slug": report.slug, "name": report.gym_name },
        "week": report.week.to_string(),
        "iso_year": report.week.year,
        "iso_week": report.week.week,
        "period_start": report.period_start,
        "period_end": report.period_end,
        "timezone": report.timezone,
        "schema_version": report.schema_version,
        "metrics": metrics,
        "insights": report.insights,
        "recommendations": report.recommendations,
        "content_hash": report.content_hash,
        "generated_at": report.generated_at,
    })
}

fn headlines(report: &Stored, language: Language, table: &mut Table) {
    let (metrics, labels) = (json!(report.metrics), language.labels());
    for (item, label) in [
        ("visits", labels.visits),
        ("unique_visitors", labels.unique_visitors),
        ("new_members", labels.new_members),
        ("lost_members", labels.lost_members),
        ("net_members", labels.net_members),
        ("active_members", labels.active_members),
        ("conversations", labels.conversations),
        ("avg_sentiment", labels.avg_sentiment),
        ("churn_high", labels.churn_high),
        ("churn_critical", labels.churn_critical),
        ("kiosk_uptime", labels.kiosk_uptime),
        ("open_alerts", labels.open_alerts),
    ] {
        let [value, previous, change] = columns(&metrics[item]);
        table.line(&["metric", item, label, &value, &previous, &change]);
    }
}

fn calendar(report: &Stored, language: Language, table: &mut Table) {
    for (day, figure) in report.metrics.visits_by_day.iter().enumerate() {
        let [value, previous, change] = columns(&json!(figure));
        let item = (day + 1).to_string();
        table.line(&[
            "visits_by_day",
            &item,
            language.weekday(day),
            &value,
            &previous,
            &change,
        ]);
    }
    for (day, hours) in report.metrics.visits_by_hour.iter().enumerate() {
        for (hour, visits) in hours.iter().enumerate() {
            let item = format!("{} {hour:02}", day + 1);
            let label = format!("{} {}", language.weekday(day), language.hour(hour));
            table.line(&["visits_by_hour", &item, &label, &visits.to_string(), "", ""]);
        }
    }
}

fn people_and_topics(report: &Stored, language: Language, table: &mut Table) {
    let labels = language.labels();
    let sentiment = report.metrics.sentiment;
    let moods = [
        sentiment.positive,
        sentiment.neutral,
        sentiment.mixed,
        sentiment.negative,
    ];
    let items = ["positive", "neutral", "mixed", "negative"];
    for ((item, label), count) in items.iter().zip(labels.moods).zip(moods) {
        table.line(&["sentiment", item, label, &count.to_string(), "", ""]);
    }
    for topic in &report.metrics.top_topics {
        let count = topic.conversations.to_string();
        table.line(&["top_topics", &topic.topic, &topic.topic, &count, "", ""]);
    }
    for member in &report.metrics.at_risk {
        let name = member.member_id.and_then(|id| report.names.get(&id));
        let name = name.map_or(labels.nameless, String::as_str);
        let id = member.member_id.map(|id| id.to_string());
        let id = id.unwrap_or_default();
        table.line(&["at_risk", &id, name, &member.score.to_string(), "", ""]);
    }
}

/// Value, previous and change; empty where unknown.
fn columns(figure: &Value) -> [String; 3] {
    ["value", "previous", "change"].map(|name| match &figure[name] {
        Value::Null => String::new(),
        value => value.to_string(),
    })
}

struct Table(String);

impl Table {
    fn line(&mut self, cells: &[&str]) {
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        self.0.push_str(&cells.join(","));
        self.0.push_str("\r\n");
    }
}

/// A cell that means itself, whatever is in it.
fn quoted(cell: &str) -> String {
    // Where the decimal sign is a comma, spreadsheets begin a new cell at `;`.
    let parts: Vec<String> = cell.split(';').map(harmless).collect();
    let cell = parts.join(";");
    if cell.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

/// Text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
    if is_formula && !is_number {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}
