//! The report as a mail: the main numbers, what they say, and a link.
//!
//! No names of members: a mail cannot be taken back when a member is
//! anonymised. The same report to the same recipient always gives the same
//! bytes, link included, because Resend compares them under one key.

use chrono::Duration;
use maud::{DOCTYPE, Markup, html};

use super::i18n::Language;
use super::kpis::{Kpi, kpis};
use super::links;
use super::stored::StoredReport;
use crate::resend::Mail;
use crate::signed_links::SignedLinks;

/// How long after the end of its week the link in a mail is good for.
const LINK_DAYS: i64 = 42;
/// How many of the main numbers a mail shows.
const SHOWN: usize = 6;

/// The mail of `report` to one recipient, in the language of their locale.
pub(crate) fn compose(
    report: &StoredReport,
    to: &str,
    locale: &str,
    idempotency_key: String,
    links: Option<&SignedLinks>,
) -> Mail {
    let language = Language::of(locale);
    let expires = report.period_end + Duration::days(LINK_DAYS);
    let mut link =
        links.and_then(|links| links::to_report(links, &report.slug, report.week, expires));
    if let Some(link) = &mut link {
        link.query_pairs_mut().append_pair("lang", language.code());
    }
    let link = link.map(String::from);
    let mut kpis = kpis(report, language);
    kpis.truncate(SHOWN);
    Mail {
        to: to.to_owned(),
        subject: subject(report, &kpis, language),
        html: html(report, &kpis, link.as_deref(), language).into_string(),
        text: text(report, &kpis, link.as_deref(), language),
        idempotency_key,
    }
}

/// The gym and the week.
fn heading(report: &StoredReport, language: Language) -> String {
    let week = language.labels().week.to_lowercase();
    format!("{} – {week} {}", report.gym_name, report.week.week)
}

/// One line: a name with a line break in it must not make two.
fn subject(report: &StoredReport, kpis: &[Kpi], language: Language) -> String {
    let mut subject = heading(report, language);
    if let Some(visits) = kpis.first() {
        let change = visits.change.as_ref().map(|change| format!(" ({change})"));
        subject = format!(
            "{subject}{} {} {}{}",
            language.either("\u{a0}:", ":"),
            visits.value,
            visits.label.to_lowercase(),
            change.unwrap_or_default()
        );
    }
    subject
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn text(report: &StoredReport, kpis: &[Kpi], link: Option<&str>, language: Language) -> String {
    let labels = language.labels();
    let mut lines = vec![
        heading(report, language),
        language.week(report.week.monday()),
        String::new(),
    ];
    for kpi in kpis {
        let change = kpi.change.as_ref().map(|change| format!(" {change}"));
        lines.push(format!(
            "{}: {}{} ({} {})",
            kpi.label,
            kpi.value,
            change.unwrap_or_default(),
            labels.last_week,
            kpi.previous
        ));
    }
    lines.push(format!("\n{}", labels.in_short));
    for insight in &report.insights {
        lines.push(format!("- {}", language.insight(insight)));
    }
    lines.push(format!("\n{}", labels.to_do));
    for advice in &report.recommendations {
        lines.push(format!("- {}", language.recommendation(advice)));
    }
    if let Some(link) = link {
        lines.push(format!("\n{}: {link}", labels.read_online));
    }
    lines.push(format!("\n{}", labels.why_mailed));
    lines.join("\n")
}

/// Each element has its own style, and boxes are tables: mail programs support
/// little else.
fn html(report: &StoredReport, kpis: &[Kpi], link: Option<&str>, language: Language) -> Markup {
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
                    (table(kpis, language))
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

fn table(kpis: &[Kpi], language: Language) -> Markup {
    let labels = language.labels();
    html! {
        table style="width:100%;border-collapse:collapse" {
            @for kpi in kpis {
                tr {
                    td style="padding:6px 0;border-top:1px solid #d9dfe5" { (kpi.label) }
                    td style="padding:6px 0;border-top:1px solid #d9dfe5;text-align:right" {
                        strong { (kpi.value) }
                        @if let Some(change) = &kpi.change { " " (change) }
                        br;
                        span style="color:#55616d;font-size:13px" { (labels.last_week) " " (kpi.previous) }
                    }
                }
            }
        }
    }
}
