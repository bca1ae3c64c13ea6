//! Whether runs could begin: for `/health/ready`.
//!
//! Reads only: the database itself says whether it can be written, and whether
//! our role may. Repairs nothing.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::Result;

use super::checkup::applied;
use super::fault::words;
use super::names::Names;
use super::{MIGRATOR, Pool, TxLimits, Unprepared, adoption, begin};

/// How long the database may take to answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The state of a database that answers.
#[derive(Debug)]
pub struct Readiness {
    /// A replica, or made so.
    pub is_read_only: bool,
    /// What our role may not do, such as `insert, update on job_runs`, or not
    /// with each row, because of row level security: it would hide rows
    /// without a word.
    pub rights_missing: Vec<String>,
    /// What the host's views lack, where they stand for our tables; `None` when
    /// those are not there yet.
    pub ports_lacking: Option<Vec<String>>,
    /// How many of our migrations it lacks; `None` when we may not read that.
    pub migrations_missing: Option<usize>,
}

impl Readiness {
    /// Whether runs could begin.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_read_only
            && self.rights_missing.is_empty()
            && self.ports_lacking.as_ref().is_some_and(Vec::is_empty)
            && self.migrations_missing == Some(0)
    }
}

/// Asks the database; `None` when it does not answer in time.
pub async fn readiness(db: &Pool) -> Option<Readiness> {
    let asked = tokio::time::timeout(TIMEOUT, ask(db)).await.ok()?;
    asked
        .inspect_err(|error| tracing::warn!(error = %words(error), "Failed to reach the database"))
        .ok()
}

async fn ask(db: &Pool) -> Result<Readiness> {
    let mut tx = begin(db, TxLimits::READ).await?;
    let found = standing(Unprepared(&mut tx)).await?;
    let migrations_missing = if found.may_read_migrations() {
        Some(count_missing(Unprepared(&mut tx)).await?)
    } else {
        None
    };
    let is_migrated = migrations_missing == Some(0);
    Ok(Readiness {
        is_read_only: found.is_read_only,
        rights_missing: found.rights_missing,
        ports_lacking: if is_migrated {
            Some(adoption::lacking(&mut tx).await?)
        } else {
            None
        },
        migrations_missing,
    })
}

/// What we may do in the database.
pub(super) struct Standing {
    pub(super) is_read_only: bool,
    pub(super) rights_missing: Vec<String>,
}

impl Standing {
    pub(super) fn may_read_migrations(&self) -> bool {
        let is_in_the_way = |it: &String| it.contains(RECORD) || it.starts_with("usage on schema");
        !self.rights_missing.iter().any(is_in_the_way)
    }
}

pub(super) async fn standing(db: Unprepared<'_>) -> Result<Standing> {
    static FUNCTIONS: LazyLock<Vec<&str>> =
        LazyLock::new(|| Vec::from_iter(Names::created_by(MIGRATOR.iter()).functions));
    let (tables, rights): (Vec<_>, Vec<_>) = RIGHTS.iter().copied().unzip();
    sqlx::query_file_as!(
        Standing,
        "src/database/readiness.sql",
        &tables as &[&str],
        &rights as &[&str],
        &*FUNCTIONS as &[&str],
    )
    .fetch_one(db)
    .await
}

async fn count_missing(db: Unprepared<'_>) -> Result<usize> {
    let mut applied = applied(db).await?;
    applied.retain(|migration| migration.success);
    let is_missing = |version| applied.iter().all(|migration| migration.version != version);
    Ok(MIGRATOR
        .iter()
        .filter(|ours| is_missing(ours.version))
        .count())
}

pub(super) const RECORD: &str = "_sqlx_migrations";

/// What the statements of this program do to each table and view. Who locks a
/// row needs the right to update it, also where it is only deleted.
pub const RIGHTS: [(&str, &str); 45] = [
    (RECORD, "select"),
    ("adoptions", "select"),
    ("alerts", "select insert update delete"),
    ("audit_events", "select insert update delete"),
    ("churn_accuracy", "select insert update"),
    ("churn_members", "select"),
    ("churn_models", "select insert"),
    ("churn_offsets", "select insert"),
    ("conversation_events", "select update delete"),
    ("conversation_sessions", "select update"),
    ("delivery_failures", "select insert update delete"),
    ("erasure_log", "select insert update"),
    ("erasure_rules", "select insert delete"),
    ("gyms", "select"),
    ("held_documents", "select"),
    ("held_members", "select"),
    ("held_sessions", "select"),
    ("job_leases", "select insert update"),
    ("job_pauses", "select insert update"),
    ("job_run_totals", "select insert update"),
    ("job_runs", "select insert update delete"),
    ("job_totals", "select insert update"),
    ("kiosk_heartbeats", "select update delete"),
    ("kiosk_maintenances", "select insert update delete"),
    ("kiosks", "select update"),
    ("known_maintenances", "select"),
    ("legal_holds", "select delete"),
    ("member_churn", "select insert update delete"),
    ("member_churn_history", "select insert update delete"),
    ("member_contacts", "select"),
    ("member_freezes", "select insert update delete"),
    ("members", "select update"),
    ("order_expirations", "select insert update delete"),
    ("open_deliveries", "select"),
    ("orders", "select update"),
    ("payment_intents", "select update"),
    ("report_deliveries", "select insert update delete"),
    ("report_recipients", "select"),
    ("retention_policies", "select update"),
    ("stock_levels", "select update"),
    ("stock_reservations", "select update"),
    ("system_logs", "select insert update delete"),
    ("visit_silences", "select insert update"),
    ("visits", "select update delete"),
    ("weekly_reports", "select insert update"),
];
