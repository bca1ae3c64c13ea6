//! The report as CSV and as JSON.
//!
//! CSV as the reader's spreadsheet takes it: it begins with a byte order mark,
//! without which Excel reads UTF-8 as something else in every language; where
//! cells are separated by `;`, which is how spreadsheets are set that write
//! `0,5`, decimals have a comma. Quotes are doubled and lines end in CRLF, after
//! RFC 4180. Text that a spreadsheet would treat as a formula gets an apostrophe
//! before it, also where the file is read with another separator than it was
//! written with (<https://owasp.org/www-community/attacks/CSV_Injection>).

use std::str::FromStr;

use serde_json::{Value, json};

use super::counts::Topic;
use super::i18n::Language;
use super::stored::StoredReport;

/// A byte order mark.
const MARK: char = '\u{feff}';
/// What some program separates cells by.
const SEPARATORS: [char; 5] = [';', ',', '\t', '\r', '\n'];
/// What a formula begins with: also as full-width and small forms, which some
/// spreadsheets take for the same, and the minus sign.
const BEGINNINGS: [char; 13] = [
    '=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫', '\u{2212}',
];

/// What separates the cells of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// Beside decimals with a comma.
    Semicolon,
    /// Beside decimals with a point.
    Comma,
    /// Decimals are the language's.
    Tab,
}

/// The report as a table of one number per line.
#[must_use]
pub fn csv(report: &StoredReport, language: Language, separator: Option<Separator>) -> String {
    let separator = separator.unwrap_or_else(|| Separator::of(language));
    let mut table = Table::new(language, separator);
    table.line(["section", "item", "label", "value", "previous", "change"]);
    kpis(report, language, &mut table);
    calendar(report, language, &mut table);
    people_and_topics(report, language, &mut table);
    table.text
}

/// The report as it is stored, with its gym, and the names of its members and
/// why each is at risk, as far as that is known now.
#[must_use]
pub fn json(report: &StoredReport) -> Value {
    let mut metrics = json!(report.metrics);
    for member in metrics["at_risk"].as_array_mut().into_iter().flatten() {
        let id = member["member_id"].as_str().and_then(|id| id.parse().ok());
        let name = id.and_then(|id| report.names.get(&id));
        member["name"] = json!(name);
        if let Some(reasons) = id.and_then(|id| report.reasons.get(&id)) {
            member["reasons"] = json!(reasons);
        }
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
            table.value("visits_by_hour", &item, &label, *visits);
        }
    }
}

fn people_and_topics(report: &StoredReport, language: Language, table: &mut Table) {
    let labels = language.labels();
    let moods = report.metrics.sentiment.parts();
    for ((item, count), label) in moods.into_iter().zip(labels.moods) {
        table.value("sentiment", item, label, count);
    }
    for Topic {
        topic,
        conversations,
    } in &report.metrics.top_topics
    {
        table.value("top_topics", topic, topic, *conversations);
    }
    for member in &report.metrics.at_risk {
        let name = member.member_id.and_then(|id| report.names.get(&id));
        let name = name.map_or(labels.anonymised, String::as_str);
        let id = member
            .member_id
            .map(|id| id.to_string())
            .unwrap_or_default();
        table.value("at_risk", &id, name, member.score);
        for reason in report.reasons(member) {
            table.line(["at_risk_reason", &id, &language.reason(reason), "", "", ""]);
        }
    }
}

struct Table {
    text: String,
    separator: char,
    has_decimal_comma: bool,
}

impl Table {
    fn new(language: Language, separator: Separator) -> Self {
        let (separator, has_decimal_comma) = match separator {
            Separator::Semicolon => (';', true),
            Separator::Comma => (',', false),
            Separator::Tab => ('\t', language == Language::French),
        };
        Self {
            text: MARK.to_string(),
            separator,
            has_decimal_comma,
        }
    }

    fn line(&mut self, cells: [&str; 6]) {
        let cells = cells.map(|cell| quoted(&harmless(cell)));
        self.push(&cells);
    }

    fn value(&mut self, section: &str, item: &str, label: &str, value: impl Into<Value>) {
        self.numbers(
            [section, item, label],
            &[value.into(), Value::Null, Value::Null],
        );
    }

    /// Value, previous and change; empty where unknown.
    fn figure(&mut self, section: &str, item: &str, label: &str, figure: &Value) {
        let numbers = ["value", "previous", "change"].map(|name| figure[name].clone());
        self.numbers([section, item, label], &numbers);
    }

    fn numbers(&mut self, texts: [&str; 3], numbers: &[Value; 3]) {
        let numbers = numbers.each_ref().map(|number| match number {
            Value::Number(number) if self.has_decimal_comma => number.to_string().replace('.', ","),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        });
        let texts = texts.map(|text| quoted(&harmless(text)));
        self.push(&[texts, numbers].concat());
    }

    fn push(&mut self, cells: &[String]) {
        self.text.push_str(&cells.join(&self.separator.to_string()));
        self.text.push_str("\r\n");
    }
}

impl Separator {
    fn of(language: Language) -> Self {
        language.either(Self::Semicolon, Self::Comma)
    }
}

impl FromStr for Separator {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            ";" => Ok(Self::Semicolon),
            "," => Ok(Self::Comma),
            "\t" => Ok(Self::Tab),
            _ => Err("sep must be a semicolon (%3B), a comma (%2C) or a tab (%09)"),
        }
    }
}

/// A cell, escaped for whatever separator it is read with.
fn quoted(cell: &str) -> String {
    if cell.contains('"') || cell.contains(SEPARATORS) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// Text no part of which a spreadsheet treats as a formula, wherever it begins
/// a new cell.
fn harmless(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    for part in cell.split_inclusive(SEPARATORS) {
        if is_formula(part.trim_end_matches(SEPARATORS)) {
            text.push('\'');
        }
        text.push_str(part);
    }
    // A cell that begins with a separator is told apart from one that ends there.
    if cell.starts_with(['\t', '\r', '\n']) {
        text.insert(0, '\'');
    }
    text
}

/// Whether a cell with this text may be taken for a formula. Spaces, quotes and
/// what is not seen may be dropped before it is looked at.
fn is_formula(text: &str) -> bool {
    let is_dropped = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(
                c,
                '"' | '\'' | '`' | '´' | '‘'..='‟' | '«' | '»' | '‹' | '›'
            )
            || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | MARK)
    };
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
    !is_number && text.trim_start_matches(is_dropped).starts_with(BEGINNINGS)
}
