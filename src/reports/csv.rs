//! The report as CSV and as JSON.
//!
//! CSV after RFC 4180: commas, quotes doubled, CRLF; numbers with a point in
//! every language, and labels in the reader's. Text that a spreadsheet would
//! treat as a formula gets an apostrophe before it
//! (<https://owasp.org/www-community/attacks/CSV_Injection>).

use serde_json::{Value, json};

use super::counts::Topic;
use super::i18n::Language;
use super::stored::StoredReport;

/// The report as a table of one number per line.
#[must_use]
pub fn csv(report: &StoredReport, language: Language) -> String {
    let mut table = Table(String::new());
    table.line(["section", "item", "label", "value", "previous", "change"]);
    kpis(report, language, &mut table);
    calendar(report, language, &mut table);
    people_and_topics(report, language, &mut table);
    table.0
}

/// The report as it is stored, with its gym and the names of its members.
#[must_use]
pub fn json(report: &StoredReport) -> Value {
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

fn kpis(report: &StoredReport, language: Language, table: &mut Table) {
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
        table.figure("metric", item, label, &metrics[item]);
    }
}

fn calendar(report: &StoredReport, language: Language, table: &mut Table) {
    for (day, figure) in report.metrics.visits_by_day.iter().enumerate() {
        let (item, label) = ((day + 1).to_string(), language.weekday(day));
        table.figure("visits_by_day", &item, label, &json!(figure));
    }
    for (day, hours) in report.metrics.visits_by_hour.iter().enumerate() {
        for (hour, visits) in hours.iter().enumerate() {
            let item = format!("{} {hour:02}", day + 1);
            let label = format!("{} {}", language.weekday(day), language.hour(hour));
            table.value("visits_by_hour", &item, &label, visits);
        }
    }
}

fn people_and_topics(report: &StoredReport, language: Language, table: &mut Table) {
    let labels = language.labels();
    let moods = report.metrics.sentiment.parts();
    for ((item, count), label) in moods.into_iter().zip(labels.moods) {
        table.value("sentiment", item, label, &count);
    }
    for Topic {
        topic,
        conversations,
    } in &report.metrics.top_topics
    {
        table.value("top_topics", topic, topic, conversations);
    }
    for member in &report.metrics.at_risk {
        let name = member.member_id.and_then(|id| report.names.get(&id));
        let name = name.map_or(labels.anonymised, String::as_str);
        let id = member.member_id.map(|id| id.to_string());
        table.value("at_risk", &id.unwrap_or_default(), name, &member.score);
    }
}

struct Table(String);

impl Table {
    fn line(&mut self, cells: [&str; 6]) {
        self.0.push_str(&cells.map(quoted).join(","));
        self.0.push_str("\r\n");
    }

    fn value(&mut self, section: &str, item: &str, label: &str, value: &impl ToString) {
        self.line([section, item, label, &value.to_string(), "", ""]);
    }

    /// Value, previous and change; empty where unknown.
    fn figure(&mut self, section: &str, item: &str, label: &str, figure: &Value) {
        let [value, previous, change] =
            ["value", "previous", "change"].map(|name| match &figure[name] {
                Value::Null => String::new(),
                value => value.to_string(),
            });
        self.line([section, item, label, &value, &previous, &change]);
    }
}

/// A cell, escaped.
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

/// Text that no spreadsheet treats as a formula.
fn harmless(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
    if is_formula && !is_number {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}
