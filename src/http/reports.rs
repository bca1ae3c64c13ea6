//! `GET /reports/{gym}/{week}`: a weekly report as a page, and with `.json`
//! or `.csv` behind the week as data.
//!
//! For operators, and for readers with a link to this very report that has
//! not expired.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::guard::Operator;
use super::openapi::Refuses;
use super::private::private;
use super::{App, Refusal, now};
use crate::reports::csv::Separator;
use crate::reports::i18n::Language;
use crate::reports::links::open_report;
use crate::reports::stored::{self, StoredReport};
use crate::reports::week::IsoWeek;
use crate::reports::{csv, page};

/// A caller who may read the report they ask for.
pub(super) struct Reader {
    report: Asked,
    /// The query by which a link opened it, or empty.
    credentials: String,
    /// The language they ask for.
    language: Option<String>,
    /// What is to separate the cells of a table.
    separator: Option<Separator>,
}

struct Asked {
    slug: String,
    week: IsoWeek,
    form: Form,
}

#[derive(Clone, Copy)]
enum Form {
    Page,
    Json,
    Csv,
}

/// A weekly report: a page, or with .json or .csv behind the week
#[utoipa::path(
    get,
    path = "/reports/{gym}/{week}",
    operation_id = "get_reports_gym_week",
    params(
        ("gym" = String, Path, description = "Its slug."),
        ("week" = String, Path, description = "Such as 2026-W05, 2026-W05.json or 2026-W05.csv."),
        ("lang" = Option<String>, Query, description = "`fr` or `en`; if not given, the gym's."),
        ("sep" = Option<String>, Query, description = "What separates the cells of .csv: `;`, `,` or a tab; if not given, `;` in French and `,` in English."),
        ("expires" = Option<String>, Query, description = "Of a shared link, which needs no secret."),
        ("signature" = Option<String>, Query, description = "Of a shared link."),
    ),
    responses(
        (status = 200, description = "The report.", content(
            (String = "text/html; charset=utf-8"),
            (Object = "application/json"),
            (String = "text/csv; charset=utf-8; header=present"),
        )),
        Refuses<401>, Refuses<403>, Refuses<404>, Refuses<422>, Refuses<500>, Refuses<503>,
    ),
    security(("operator" = []), ("operator_in_a_browser" = []), ()),
)]
pub(super) async fn report(reader: Reader, State(app): State<App>) -> Result<Response, Refusal> {
    let Asked { slug, week, form } = reader.report;
    let language = reader.language.as_deref().map(|code| {
        Language::named(code).ok_or_else(|| Refusal::bad_option("lang must be fr or en"))
    });
    let language = language.transpose()?;
    let mut tx = app.views.reading().await?;
    let report = stored::find(&mut tx, &slug, week).await?;
    drop(tx);
    let report = report.ok_or_else(Refusal::unknown_report)?;
    let language = language.unwrap_or_else(|| Language::of(&report.gym_locale));
    Ok(match form {
        Form::Page => private(
            page::page(&report, language, &reader.credentials),
            "text/html; charset=utf-8",
            &page::POLICY,
        ),
        Form::Json => private(
            csv::json(&report).to_string(),
            "application/json",
            &page::POLICY,
        ),
        Form::Csv => table(&report, language, reader.separator),
    })
}

impl FromRequestParts<App> for Reader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&query).unwrap_or_default();
        let path = Path::<(String, String)>::from_request_parts(parts, app).await;
        let asked = path
            .ok()
            .and_then(|Path((slug, file))| Asked::of(slug, &file));
        let link = (the_only(&pairs, "expires")?, the_only(&pairs, "signature")?);
        let credentials = match link {
            (None, None) => {
                Operator::from_request_parts(parts, app).await?;
                String::new()
            }
            (expires, signature) => opened(app, asked.as_ref(), expires.zip(signature))?,
        };
        let separator = the_only(&pairs, "sep")?.map(Separator::from_str);
        Ok(Self {
            report: asked.ok_or_else(Refusal::unknown_report)?,
            separator: separator.transpose().map_err(Refusal::bad_option)?,
            credentials,
            language: the_only(&pairs, "lang")?.map(str::to_owned),
        })
    }
}

/// Checks a link; answers the query that carries it on.
fn opened(app: &App, asked: Option<&Asked>, link: Option<(&str, &str)>) -> Result<String, Refusal> {
    let links = app.runner.links.as_ref();
    match (links, asked, link) {
        (Some(links), Some(asked), Some(link))
            if open_report(links, &asked.slug, asked.week, link, now()) =>
        {
            Ok(format!("expires={}&signature={}", link.0, link.1))
        }
        _ => Err(Refusal::bad_link()),
    }
}

impl Asked {
    fn of(slug: String, file: &str) -> Option<Self> {
        let (week, form) = match file.split_once('.') {
            None => (file, Form::Page),
            Some((week, "json")) => (week, Form::Json),
            Some((week, "csv")) => (week, Form::Csv),
            Some(_) => return None,
        };
        // The database takes no text with a NUL.
        let is_text = !slug.contains('\0');
        let week = week.parse().ok().filter(|_| is_text)?;
        Some(Self { slug, week, form })
    }
}

/// A parameter that may be given once.
fn the_only<'q>(pairs: &'q [(String, String)], name: &str) -> Result<Option<&'q str>, Refusal> {
    let mut values = pairs.iter().filter(|(given, _)| given == name);
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err(Refusal::bad_link()),
        (value, _) => Ok(value.map(|(_, value)| value.as_str())),
    }
}

fn table(report: &StoredReport, language: Language, separator: Option<Separator>) -> Response {
    let body = csv::csv(report, language, separator);
    let kind = "text/csv; charset=utf-8; header=present";
    let mut response = private(body, kind, &page::POLICY);
    let (slug, week) = (plain(&report.slug), report.week);
    let name = format!("attachment; filename=\"{slug}-{week}.csv\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// A slug as a file may be called.
fn plain(slug: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    slug.chars().filter(is_plain).collect()
}
