//! The report as a mail: the headline numbers, what they say, and a link.
//!
//! No names of members: a mail cannot be taken back when somebody is
//! forgotten. The same report to the same recipient always gives the same
//! bytes, link included, because Resend compares them under one key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest, Sha256};

use super::i18n::Language;
use super::kpis::{Headline, headlines};
use super::links;
use super::stored::Stored;
use crate::resend::Mail;
use crate::signed_links::SignedLinks;

/// How long after the end of its week the link in a mail is good for.
const LINK_DAYS: i64 = 42;
/// How many headline numbers a mail shows.
const SHOWN: usize = 6;

/// The mail of `report` to one recipient, in the language of their locale.
pub(crate) fn letter(report: &Stored, to: &str, locale: &str, links: Option<&SignedLinks>) -> Mail {
    let language = Language::of(locale);
    let expires = report.period_end + Duration::days(LINK_DAYS);
    let mut link =
        links.and_then(|links| links::to_report(links, &report.slug, report.week, expires));
    if let Some(link) = &mut link {
        link.query_pairs_mut().append_pair("lang", language.code());
    }
    let link = link.map(String::from);
    let numbers: Vec<Headline> = headlines(report, language)
        .into_iter()
        .take(SHOWN)
        .collect();
    Mail {
        to: to.to_owned(),
        subject: subject(report, &numbers, language),
        html: html(report, &numbers, link.as_deref(), language).into_string(),
        text: text(report, &numbers, link.as_deref(), language),
        idempotency_key: key(report, to),
    }
}

/// One key for each report and recipient, whatever the mail says: a mail that
/// was accepted before is not sent again because the report changed since.
fn key(report: &Stored, to: &str) -> String {
    let digest = Sha256::digest(to);
    let recipient = URL_SAFE_NO_PAD.encode(digest);
    format!("weekly-report/{}/{recipient}", report.id)
}

/// One line: a name with a line break in it must not make two.
fn subject(report: &Stored, numbers: &[Headline], language: Language) -> String {
    let labels = language.labels();
    let mut subject = format!(
        "{} – {} {}",
        report.gym_name,
        labels.week.to_lowercase(),
        report.week.week
    );
    if let Some(visits) = numbers.first() {
        let change = visits
            .change
            .as_ref()
            .map(|change| format!(" ({change})"))
            .unwrap_or_default();
        let colon = language.either("\u{a0}:", ":");
        subject = format!(
            "{subject}{colon} {} {}{change}",
            visits.value,
            visits.label.to_lowercase()
        );
    }
    subject
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn text(report: &Stored, numbers: &[Headline], link: Option<&str>, language: Language) -> String {
    let labels = language.labels();
    let mut lines = vec![
        format!(
            "{} – {} {}",
            report.gym_name,
            labels.week.to_lowercase(),
            report.week.week
        ),
        language.week(report.week.monday()),
        String::new(),
    ];
    lines.extend(numbers.iter().map(|number| {
        let change = number
            .change
            .as_ref()
            .map(|change| format!(" {change}"))
            .unwrap_or_default();
        let (label, value) = (number.label, &number.value);
        format!(
            "{label}: {value}{change} ({} {})",
            labels.last_week, number.previous
        )
    }));
    lines.push(format!("\n{}", labels.in_short));
    lines.extend(
        report
            .insights
            .iter()
            .map(|insight| format!("- {}", language.insight(insight))),
    );
    lines.push(format!("\n{}", labels.to_do));
    lines.extend(
        report
            .recommendations
            .iter()
            .map(|advice| format!("- {}", language.recommendation(advice))),
    );
    if let Some(link) = link {
        lines.push(format!("\n{}: {link}", labels.read_online));
    }
    lines.push(format!("\n{}", labels.why_mailed));
    lines.join("\n")
}

/// Styles stand on each element, and boxes are tables: what readers of mail
/// agree on is old.
fn html(report: &Stored, numbers: &[Headline], link: Option<&str>, language: Language) -> Markup {
    let labels = language.labels();
    html! {
        (DOCTYPE)
        html lang=(language.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (report.gym_name) }
            }
            body style="margin:0;padding:16px;background:#f3f5f7;color:#17212b;font:16px/1.5 sans-serif" {
                div style="max-width:560px;margin:0 auto;background:#ffffff;border:1px solid #d9dfe5;border-radius:12px;padding:20px" {
                    p style="margin:0;color:#0a6b74;font-weight:bold" { (labels.title) " · " (labels.week) " " (report.week.week) }
                    h1 style="margin:0;font-size:24px" { (report.gym_name) }
                    p style="margin:0 0 16px;color:#55616d" { (language.week(report.week.monday())) }
                    (table(numbers, language))
                    @if !report.insights.is_empty() {
                        h2 style="margin:16px 0 4px;font-size:17px" { (labels.in_short) }
                        ul style="margin:0;padding-left:20px" {
                            @for insight in &report.insights { li { (language.insight(insight)) } }
                        }
                    }
                    h2 style="margin:16px 0 4px;font-size:17px" { (labels.to_do) }
                    ul style="margin:0;padding-left:20px" {
                        @for advice in &report.recommendations { li { (language.recommendation(advice)) } }
                    }
                    @if let Some(link) = link {
                        p style="margin:20px 0 0" {
                            a href=(link) style="display:inline-block;background:#0a6b74;color:#ffffff;padding:10px 18px;border-radius:8px;text-decoration:none;font-weight:bold" { (labels.read_online) }
                        }
                    }
                }
                p style="max-width:560px;margin:12px auto;color:#55616d;font-size:13px" { (labels.why_mailed) }
            }
        }
    }
}

fn table(numbers: &[Headline], language: Language) -> Markup {
    let labels = language.labels();
    html! {
        table style="width:100%;border-collapse:collapse" {
            @for number in numbers {
                tr {
                    td style="padding:6px 0;border-top:1px solid #d9dfe5" { (number.label) }
                    td style="padding:6px 0;border-top:1px solid #d9dfe5;text-align:right" {
                        strong { (number.value) }
                        @if let Some(change) = &number.change { " " (change) }
                        br;
                        span style="color:#55616d;font-size:13px" { (labels.last_week) " " (number.previous) }
                    }
                }
            }
        }
    }
}
