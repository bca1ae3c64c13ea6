//! The policies: what is kept how long, and on what legal basis.
//!
//! Owns reading and changing `retention_policies`. A change is refused when
//! it would go under a floor, and is on record with who made it and both
//! values, in the same transaction.

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use super::members::with_moment_ahead;
use super::target::{self, Target};
use crate::database::{self, Pool, TxLimits, Unprepared};
use crate::engine::{JobError, context};

/// A hundred years. To keep something for ever, disable its policy.
const LONGEST_DAYS: i32 = 36_500;

/// How long the rows of one table are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The table.
    pub target: String,
    /// `delete`, `anonymise` or `redact`.
    pub action: String,
    /// In days.
    pub keep_days: i32,
    /// What the table of policies has as the floor, in days.
    #[serde(skip)]
    pub min_days: i32,
    /// Why that long.
    pub legal_basis: String,
    /// Whether it is carried out.
    pub enabled: bool,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

impl Policy {
    /// The fewest days that are accepted.
    #[must_use]
    pub fn floor_days(&self) -> i32 {
        let built_in = target::find(&self.target).map_or(1, |target| target.facts().floor_days);
        self.min_days.max(built_in)
    }

    /// The target that the policy is for.
    ///
    /// # Errors
    /// A sentence, when there is none or the policy would erase too early.
    pub(crate) fn find_target(&self) -> Result<&'static dyn Target, String> {
        let table = &self.target;
        let target = target::find(table)
            .ok_or_else(|| format!("{table} is out of reach: nothing is erased from it"))?;
        let (action, wanted) = (target.facts().action, &self.action);
        if action != wanted {
            return Err(format!("the action for {table} is {action}, not {wanted}"));
        }
        let (days, floor) = (self.keep_days, self.floor_days());
        if days < floor {
            return Err(format!("keep_days is {days}, under the floor of {floor}"));
        }
        Ok(target)
    }
}

/// What is to be changed about a policy; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// In days.
    pub keep_days: Option<i32>,
    /// Why that long.
    pub legal_basis: Option<String>,
    /// Whether it is carried out.
    pub enabled: Option<bool>,
}

/// Who changes a policy, and why, for the record.
#[derive(Debug, Clone, Default)]
pub struct Author {
    /// Who; `system` if not known.
    pub actor: Option<String>,
    /// Why, in their words.
    pub reason: Option<String>,
}

/// A policy before and after a change.
#[derive(Debug, Clone)]
pub struct Changed {
    /// As it was.
    pub before: Policy,
    /// As it is now.
    pub after: Policy,
}

/// Why a policy was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Unchanged {
    /// The change is not allowed; a sentence for the caller.
    #[error("{0}")]
    Refused(String),
    /// The database could not do it.
    #[error(transparent)]
    Failed(JobError),
}

impl From<sqlx::Error> for Unchanged {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(context("change a retention policy")(error))
    }
}

/// Reads policies: which, and in which order.
macro_rules! policies {
    ($which:literal $(, $target:expr)?) => {
        sqlx::query_as!(
            Policy,
            r#"select target, action, keep_days, min_days, legal_basis, enabled,
                      within_calendar(updated_at) as "updated_at!"
               from retention_policies "# + $which,
            $($target)?
        )
    };
}

/// All policies, in the order of the rotation.
///
/// # Errors
/// When the database cannot be read.
pub async fn all(db: &Pool) -> Result<Vec<Policy>, JobError> {
    let read = async {
        let mut tx = database::begin(db, TxLimits::READ).await?;
        policies!("order by target")
            .fetch_all(Unprepared(&mut tx))
            .await
    };
    let mut policies = read.await.map_err(context("read the retention policies"))?;
    policies.sort_by_key(|policy| {
        let mut targets = target::ALL.iter();
        let position = targets.position(|target| target.facts().table == policy.target);
        position.unwrap_or(usize::MAX)
    });
    Ok(policies)
}

/// Changes the policy of `target`. A change to what it is already changes
/// nothing, and is not put on record.
///
/// # Errors
/// When the change is not allowed, or the database refuses.
pub async fn set(
    db: &Pool,
    target: &str,
    change: &Change,
    author: &Author,
) -> Result<Changed, Unchanged> {
    let mut tx = database::begin(db, TxLimits::CONTROL).await?;
    let before = policies!("where target = $1 for update", target)
        .fetch_optional(Unprepared(&mut tx))
        .await?
        .filter(|policy| target::find(&policy.target).is_some())
        .ok_or_else(|| Unchanged::Refused(unknown(target)))?;
    let mut after = applied(&before, change).map_err(Unchanged::Refused)?;
    if after != before {
        after.updated_at = write(Unprepared(&mut tx), &after).await?;
        record(Unprepared(&mut tx), &before, &after, author).await?;
    }
    tx.commit().await?;
    Ok(Changed { before, after })
}

/// Turns the policy of `target` on, as one that was read: a later adoption of the
/// host's tables leaves it on.
///
/// # Errors
/// When there is no such policy, or the database refuses.
pub async fn sign(db: &Pool, target: &str, author: &Author) -> Result<Changed, Unchanged> {
    let change = Change {
        enabled: Some(true),
        ..Change::default()
    };
    let changed = set(db, target, &change, author).await?;
    let signed = sqlx::query!(
        "insert into audit_events (event_type, entity_type, entity_id, actor, payload)
         values ('local.retention_policy.signed', 'retention_policy', $1,
                 coalesce($2, 'system'), jsonb_build_object('reason', $3::text))",
        target,
        author.actor,
        author.reason,
    );
    database::execute(db, TxLimits::CONTROL, signed).await?;
    Ok(changed)
}

/// The policy with the change made, if it may be made.
fn applied(before: &Policy, change: &Change) -> Result<Policy, String> {
    let mut after = before.clone();
    if let Some(days) = change.keep_days {
        after.keep_days = days;
    }
    if let Some(basis) = &change.legal_basis {
        basis.trim().clone_into(&mut after.legal_basis);
    }
    if let Some(enabled) = change.enabled {
        after.enabled = enabled;
    }
    let (target, days, floor) = (&after.target, after.keep_days, after.floor_days());
    let is_at_stake = change.keep_days.is_some() || change.enabled == Some(true);
    if is_at_stake && days < floor {
        return Err(format!(
            "{target} must be kept for at least {floor} days, not {days}"
        ));
    }
    if change.keep_days.is_some() && days > LONGEST_DAYS {
        return Err(format!(
            "{target} can be kept for {LONGEST_DAYS} days at the most; to keep it for ever, disable the policy"
        ));
    }
    if after.legal_basis.is_empty() {
        return Err("a policy needs its legal basis".to_owned());
    }
    Ok(after)
}

fn unknown(target: &str) -> String {
    let known = target::ALL.map(|target| target.facts().table);
    format!(
        "there is no policy for {target:?}; there are: {}",
        known.join(", ")
    )
}

async fn write(db: Unprepared<'_>, policy: &Policy) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(
        "update retention_policies
            set keep_days = $2,
                legal_basis = $3,
                enabled = $4,
                updated_at = default
          where target = $1
         returning updated_at",
        policy.target,
        policy.keep_days,
        policy.legal_basis,
        policy.enabled,
    )
    .fetch_one(db)
    .await
}

async fn record(
    db: Unprepared<'_>,
    before: &Policy,
    after: &Policy,
    author: &Author,
) -> sqlx::Result<()> {
    let values = |policy: &Policy| {
        serde_json::json!({
            "keep_days": policy.keep_days,
            "legal_basis": policy.legal_basis,
            "enabled": policy.enabled,
        })
    };
    sqlx::query!(
        "insert into audit_events (event_type, entity_type, entity_id, actor, payload)
         values ('local.retention_policy.changed', 'retention_policy', $1,
                 coalesce($2, 'system'), $3)",
        after.target,
        author.actor,
        serde_json::json!({
            "before": values(before),
            "after": values(after),
            "reason": author.reason,
        }),
    )
    .execute(db)
    .await?;
    Ok(())
}
