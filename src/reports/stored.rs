//! A report as it is stored, with the names of its members as they are now.
//!
//! Names, and why a member is at risk now, are joined when the report is read
//! and stored nowhere in it. A member who was anonymised or deleted since, or
//! who objects to being scored, has no id and no name in it: a score and a level
//! remain. Reasons are given for members who are still scored, and at risk.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::counts::AtRisk;
use super::insights::{Insight, Recommendation};
use super::metrics::Metrics;
use super::reasons::{Reason, strongest};
use super::week::IsoWeek;
use crate::database::{Transaction, Unprepared};
use crate::engine::{JobError, context};
use crate::foreign_text::ForeignText;

/// A report, ready to be shown.
#[derive(Debug, Clone)]
pub struct StoredReport {
    /// Its row.
    pub id: Uuid,
    /// The gym's name.
    pub gym_name: String,
    /// The gym in addresses.
    pub slug: String,
    /// The gym's language, such as `fr` or `en-GB`.
    pub gym_locale: String,
    /// The week.
    pub week: IsoWeek,
    /// Monday 00:00 on the gym's clocks.
    pub period_start: DateTime<Utc>,
    /// The next Monday 00:00.
    pub period_end: DateTime<Utc>,
    /// The zone of those clocks when it was made.
    pub timezone: String,
    /// The shape of what follows.
    pub schema_version: i32,
    /// The numbers.
    pub metrics: Metrics,
    /// What they say.
    pub insights: Vec<Insight>,
    /// What to do.
    pub recommendations: Vec<Recommendation>,
    /// Tells one content from another.
    pub content_hash: String,
    /// When it was made.
    pub generated_at: DateTime<Utc>,
    /// The names of the members at risk that have one.
    pub names: BTreeMap<Uuid, String>,
    /// Why each of those is at risk of whom it is known.
    pub reasons: BTreeMap<Uuid, Vec<Reason>>,
}

/// The report of a gym's week, with names.
///
/// # Errors
/// When the database cannot be read, or holds what this version cannot read.
pub async fn find(
    db: &mut Transaction,
    slug: &str,
    week: IsoWeek,
) -> Result<Option<StoredReport>, JobError> {
    let row = one(Unprepared(db), slug, week)
        .await
        .map_err(context("read the report"))?;
    let Some(row) = row else { return Ok(None) };
    let gym_id = row.gym_id;
    let mut report = StoredReport::try_from(row)?;
    let at_risk = report.metrics.at_risk.iter();
    let ids: Vec<Uuid> = at_risk.filter_map(|member| member.member_id).collect();
    let members = members(Unprepared(db), gym_id, &ids)
        .await
        .map_err(context("read names"))?;
    report.set_members(members);
    Ok(Some(report))
}

/// These reports, without names; or why one cannot be read, which does not
/// affect the others.
pub(crate) async fn of(
    db: &mut Transaction,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Result<StoredReport, ForeignText>>, JobError> {
    let rows = many(Unprepared(db), ids)
        .await
        .map_err(context("read the reports"))?;
    let read = |row: Row| {
        let id = row.id;
        let report = StoredReport::try_from(row);
        (id, report.map_err(|error| error.words()))
    };
    Ok(rows.into_iter().map(read).collect())
}

impl StoredReport {
    /// Why this member is at risk, the strongest reason first.
    #[must_use]
    pub fn reasons(&self, member: &AtRisk) -> &[Reason] {
        let reasons = member.member_id.and_then(|id| self.reasons.get(&id));
        reasons.map_or(&[], Vec::as_slice)
    }

    /// Gives members their names and reasons; one who is not among `members`
    /// loses the id.
    fn set_members(&mut self, members: Vec<Member>) {
        for at_risk in &mut self.metrics.at_risk {
            at_risk.member_id = at_risk
                .member_id
                .filter(|id| members.iter().any(|member| member.id == *id));
        }
        for member in members {
            self.names.extend(member.name.map(|name| (member.id, name)));
            let reasons = member.factors.as_ref().map(strongest).unwrap_or_default();
            if !reasons.is_empty() {
                self.reasons.insert(member.id, reasons);
            }
        }
    }
}

struct Row {
    id: Uuid,
    gym_id: Uuid,
    gym_name: String,
    slug: String,
    gym_locale: String,
    iso_year: i32,
    iso_week: i32,
    period_start: DateTime<Utc>,
    period_end: DateTime<Utc>,
    timezone: String,
    schema_version: i32,
    metrics: Value,
    insights: Value,
    recommendations: Value,
    content_hash: String,
    generated_at: DateTime<Utc>,
}

impl TryFrom<Row> for StoredReport {
    type Error = JobError;

    fn try_from(row: Row) -> Result<Self, JobError> {
        Ok(Self {
            id: row.id,
            gym_name: row.gym_name,
            slug: row.slug,
            gym_locale: row.gym_locale,
            week: IsoWeek {
                year: row.iso_year,
                week: row.iso_week.cast_unsigned(),
            },
            period_start: row.period_start,
            period_end: row.period_end,
            timezone: row.timezone,
            schema_version: row.schema_version,
            metrics: typed(row.metrics)?,
            insights: typed(row.insights)?,
            recommendations: typed(row.recommendations)?,
            content_hash: row.content_hash,
            generated_at: row.generated_at,
            names: BTreeMap::new(),
            reasons: BTreeMap::new(),
        })
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, JobError> {
    serde_json::from_value(value).map_err(|error| {
        let error = anyhow::Error::new(error);
        JobError::Failed(error.context("a report of a shape that this version cannot read"))
    })
}

async fn one(db: Unprepared<'_>, slug: &str, week: IsoWeek) -> sqlx::Result<Option<Row>> {
    sqlx::query_as!(
        Row,
        r#"
        select
            report.id, gym_id, gyms.name as gym_name, slug, locale as gym_locale, iso_year, iso_week,
            within_calendar(period_start) as "period_start!",
            within_calendar(period_end) as "period_end!",
            report.timezone, schema_version, metrics, insights, recommendations, content_hash,
            within_calendar(generated_at) as "generated_at!"
        from gyms
        join weekly_reports as report on report.gym_id = gyms.id
        where slug = $1
            and iso_year = $2
            and iso_week = $3
        "#,
        slug,
        week.year,
        week.week.cast_signed(),
    )
    .fetch_optional(db)
    .await
}

async fn many(db: Unprepared<'_>, ids: &[Uuid]) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"
        select
            report.id, gym_id, gyms.name as gym_name, slug, locale as gym_locale, iso_year, iso_week,
            within_calendar(period_start) as "period_start!",
            within_calendar(period_end) as "period_end!",
            report.timezone, schema_version, metrics, insights, recommendations, content_hash,
            within_calendar(generated_at) as "generated_at!"
        from weekly_reports as report
        join gyms on gyms.id = report.gym_id
        where report.id = any($1)
        "#,
        ids,
    )
    .fetch_all(db)
    .await
}

struct Member {
    id: Uuid,
    name: Option<String>,
    factors: Option<Value>,
}

/// Those of `members` who may be named, with their names, and with the factors
/// of their score while they are scored and at risk.
async fn members(db: Unprepared<'_>, gym_id: Uuid, members: &[Uuid]) -> sqlx::Result<Vec<Member>> {
    sqlx::query_as!(
        Member,
        r#"
        select
            id,
            nullif(concat_ws(' ', first_name, last_name), '') as name,
            (
                select churn.factors
                from member_churn as churn
                join churn_members as scored
                    on scored.id = churn.member_id
                    and scored.is_scored
                where churn.member_id = members.id
                    and churn.level in ('high', 'critical')
            ) as factors
        from members
        where id = any($1)
            and gym_id = $2
            and status <> 'anonymised'
            and anonymised_at is null
            and not churn_opt_out
        "#,
        members,
        gym_id,
    )
    .fetch_all(db)
    .await
}
