//! The report as a page: one file of HTML without scripts or anything else to
//! load, for a phone, a desk and a printer.
//!
//! Everything that comes from the database is escaped by `maud`. The page
//! says the hash of its style, so that the browser may refuse any other.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::i18n::Language;
use super::kpis::{Kpi, kpis};
use super::stored::StoredReport;

mod charts;

const STYLE: &str = include_str!("page/style.css");

/// The `Content-Security-Policy` of the page: its own style and nothing else.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// The page in `language`. `credentials` is the query by which a shared link
/// opens the report, or empty: the page's own links carry it on.
#[must_use]
pub fn page(report: &StoredReport, language: Language, credentials: &str) -> String {
    let labels = language.labels();
    let metrics = &report.metrics;
    let page = html! {
        (DOCTYPE)
        html lang=(language.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                meta name="color-scheme" content="light dark";
                title { (report.gym_name) " · " (labels.week) " " (report.week.week) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(report, language))
                main {
                    (in_short(report, language))
                    (in_numbers(&kpis(report, language), language))
                    @if metrics.visits.value != Some(0) || metrics.visits.previous != Some(0) {
                        section.wide.charts {
                            (panel(labels.visits_per_day, &charts::days(metrics, language)))
                            (panel(labels.busy_hours, &charts::hours(metrics, language)))
                        }
                    }
                    section.wide.charts {
                        (panel(labels.call_first, &call_first(report, language)))
                        div.pile {
                            (panel(labels.churn_levels, &charts::levels(metrics, language)))
                            (panel(labels.topics, &talk(report, language)))
                            (panel(labels.kiosk_uptime, &charts::uptime(metrics, language)))
                        }
                    }
                }
                (footer(report, language, credentials))
            }
        }
    };
    page.into_string()
}

fn header(report: &StoredReport, language: Language) -> Markup {
    let labels = language.labels();
    html! {
        header {
            p.kicker { (labels.title) " · " (labels.week) " " (report.week.week) }
            h1 { (report.gym_name) }
            p { (language.week(report.week.monday())) ", " (labels.compared) }
        }
    }
}

fn in_short(report: &StoredReport, language: Language) -> Markup {
    let labels = language.labels();
    html! {
        section.short {
            @if !report.insights.is_empty() {
                div {
                    h2 { (labels.in_short) }
                    ul {
                        @for insight in &report.insights { li { (language.insight(insight)) } }
                    }
                }
            }
            div.recommended {
                h2 { (labels.to_do) }
                ol {
                    @for advice in &report.recommendations {
                        li { (language.recommendation(advice)) }
                    }
                }
            }
        }
    }
}

fn in_numbers(kpis: &[Kpi], language: Language) -> Markup {
    let labels = language.labels();
    html! {
        section.wide {
            h2 { (labels.in_numbers) }
            dl.numbers {
                @for kpi in kpis {
                    div {
                        dt { (kpi.label) }
                        dd {
                            span.value { (kpi.value) }
                            @if let Some(change) = &kpi.change {
                                " " span.change.(kpi.tone) { (change) }
                            }
                            span.previous { (labels.last_week) " " (kpi.previous) }
                        }
                    }
                }
            }
        }
    }
}

fn panel(title: &str, content: &Markup) -> Markup {
    html! { article { h2 { (title) } (content) } }
}

fn call_first(report: &StoredReport, language: Language) -> Markup {
    let labels = language.labels();
    let at_risk = &report.metrics.at_risk;
    let total = report.metrics.at_risk_in_all().this;
    html! {
        @if total.is_none() {
            p.quiet { (labels.not_scored) }
        } @else if total == Some(0) {
            p.quiet { (labels.none_at_risk) }
        } @else {
            p.quiet {
                (labels.listed_of) " " (at_risk.len()) " " (labels.of) " "
                (language.count(total.unwrap_or_default()))
            }
            ol.people {
                @for member in at_risk {
                    li {
                        div {
                            @match member.member_id.and_then(|id| report.names.get(&id)) {
                                Some(name) => span.name { (name) },
                                None => span.name.quiet { (labels.anonymised) },
                            }
                            @for reason in report.reasons(member) {
                                span.reason { (language.reason(reason)) }
                            }
                        }
                        span.badge.(if member.level == "critical" { "critical" } else { "high" }) {
                            (language.percent(member.score, 0)) " " (labels.risk)
                        }
                    }
                }
            }
        }
    }
}

fn talk(report: &StoredReport, language: Language) -> Markup {
    let labels = language.labels();
    let topics = &report.metrics.top_topics;
    html! {
        @if topics.is_empty() {
            p.quiet { (labels.no_topics) }
        } @else {
            ol.topics {
                @for topic in topics {
                    li { span { (topic.topic) } span.count { (language.count(topic.conversations)) } }
                }
            }
        }
        (charts::moods(&report.metrics, language))
    }
}

fn footer(report: &StoredReport, language: Language, credentials: &str) -> Markup {
    let labels = language.labels();
    let week = report.week.to_string();
    let link = |file: &str, lang: &str| match (lang, credentials) {
        ("", "") => file.to_owned(),
        (query, "") | ("", query) => format!("{file}?{query}"),
        (lang, credentials) => format!("{file}?{lang}&{credentials}"),
    };
    let other = language.other().code();
    let this = format!("lang={}", language.code());
    html! {
        footer {
            p {
                (labels.generated) " " (language.moment(report.generated_at, &report.timezone))
                " (" (labels.time_zone) ", " (report.timezone) ")"
            }
            nav {
                a href=(link(&week, &format!("lang={other}"))) lang=(other) hreflang=(other) { (labels.other_language) }
                " " a href=(link(&format!("{week}.csv"), &this)) { "CSV" }
                " " a href=(link(&format!("{week}.json"), "")) { "JSON" }
            }
        }
    }
}
