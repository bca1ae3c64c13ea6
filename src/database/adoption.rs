//! Another program's database as ours: its tables stand for ours as views.
//!
//! Owns `adoptions` and the contract of the ports. A file of the host's makes
//! the views; promises that it is applied whole or not at all, that what was
//! applied keeps the contract, and that dropping it leaves of it nothing but
//! what it wrote down. Knows no word of any host.

use sqlx::Result;

use super::{Fault, Schema, Transaction, Unprepared, fault};

mod apply;
mod aside;
pub mod contract;
mod drop;
mod file;
mod lock;
mod record;
mod rows;
mod shape;
mod snapshot;
mod trial;
mod trials;

pub use apply::{Refusal, apply};
pub use drop::{Dropped, drop, drop_left};
pub use file::File;
pub use record::{Adoption, adoptions, has_record};

use contract::Port;

/// What is wrong with a port.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The table, or the table and its column.
    pub place: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub fix: String,
    /// How bad it is.
    pub level: Level,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A job would fail or do wrong.
    Failure,
    /// Rows are passed, or nothing could be tried.
    Warning,
    /// Something was not tried; it says nothing of the port.
    Note,
}

impl Finding {
    /// Whether a job would fail or do wrong.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.level == Level::Failure
    }

    fn failure(place: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
            fix: fix.into(),
            level: Level::Failure,
        }
    }

    fn warning(place: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            ..Self::failure(place, what, fix)
        }
    }

    fn note(place: impl Into<String>, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Note,
            ..Self::failure(place, what, fix)
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            place, what, fix, ..
        } = self;
        write!(f, "{place}: {what}; {fix}")
    }
}

/// Tries the contract on every port that is a view; changes nothing. All rows
/// are looked at too, where our tables' schema is given: that takes its time.
///
/// # Errors
/// When the database is gone, or refuses to say what it has.
pub async fn check(db: &mut Transaction, of_rows: Option<&Schema>) -> Result<Vec<Finding>> {
    let mut findings = standing(db).await?;
    for port in adopted(db).await? {
        if findings.iter().any(|it| it.is_failure() && it.is_of(port)) {
            continue;
        }
        let tried = async {
            let mut found = match of_rows {
                Some(schema) => rows::check(db, port, schema).await?,
                None => Vec::new(),
            };
            found.extend(trial::check(db, port).await?);
            Ok(found)
        };
        match tried.await {
            Err(error) if fault(&error) == Fault::Contended => {
                let what = "was not tried to the end: others hold what it needs";
                let fix = "run: jarvis-cron adopt check";
                findings.push(Finding::warning(port.name, what, fix));
            }
            found => findings.extend(found?),
        }
    }
    Ok(findings)
}

/// What the ports lack, in one line each. Asks the catalog only, so that `serve`
/// can do so.
pub(super) async fn lacking(db: &mut Transaction) -> Result<Vec<String>> {
    let findings = standing(db).await?;
    Ok(findings.iter().map(ToString::to_string).collect())
}

/// Whether everything is there, with the columns of the contract.
async fn standing(db: &mut Transaction) -> Result<Vec<Finding>> {
    let mut findings = shape::check(Unprepared(db)).await?;
    let gone = aside::gone(Unprepared(db), None).await?;
    findings.extend(gone.into_iter().map(|it| {
        let what = "is gone, with a table of the host's that it hung on";
        let fix = "run: jarvis-cron adopt drop, which makes it again; then adopt apply";
        Finding::failure(it.identity, what, fix)
    }));
    Ok(findings)
}

impl Finding {
    fn is_of(&self, port: &Port) -> bool {
        self.place.split('.').next() == Some(port.name)
    }
}

/// The ports that have no row; those of the jobs have nothing to do then.
///
/// # Errors
/// When the database cannot be read.
pub async fn empty(db: &mut Transaction) -> Result<Vec<&'static Port>> {
    let mut empty = Vec::new();
    for port in &contract::PORTS {
        let ask = format!("select exists (select from {})", port.name);
        let has_rows = sqlx::query_scalar::<_, bool>(sqlx::AssertSqlSafe(ask));
        if !has_rows.fetch_one(Unprepared(db)).await? {
            empty.push(port);
        }
    }
    Ok(empty)
}

/// The policies that erase the host's rows for good, were not signed, and are off.
///
/// # Errors
/// When the database cannot be read.
pub async fn unsigned(db: Unprepared<'_>) -> Result<Vec<String>> {
    let read = format!(
        "select target from retention_policies p where not p.enabled and {IS_UNSIGNED} order by target"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(read))
        .fetch_all(db)
        .await
}

/// A policy that erases members or their visits, as long as no one has signed it.
const IS_UNSIGNED: &str = "p.target in ('members', 'visits')
    and not exists (
        select from audit_events v
         where v.event_type = 'local.retention_policy.signed'
           and v.entity_type = 'retention_policy'
           and v.entity_id = p.target
    )";

/// The ports that are no tables.
async fn adopted(db: &mut Transaction) -> Result<Vec<&'static Port>> {
    let names: Vec<String> = sqlx::query_scalar(
        "select relname::text
           from pg_class
          where oid in (select to_regclass(name) from unnest($1::text[]) as port (name))
            and relkind <> 'r'",
    )
    .bind(contract::names())
    .fetch_all(Unprepared(db))
    .await?;
    let ports = contract::PORTS.iter();
    Ok(ports
        .filter(|port| names.iter().any(|name| name == port.name))
        .collect())
}
