//! `policies`: shows and changes how long data is kept.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use serde_json::{Value, json};

use super::{Usage, println, wide_table};
use crate::config::Settings;
use crate::database::Pool;
use crate::foreign_text::printable;
use crate::retention::policies::{self, Author, Change, Policy, Unchanged};

/// What to do with the policies.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show every policy with its floor and its legal basis.
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Change one policy, and put on record who did it.
    ///
    /// Prints the policy before and after. `run cleanup-old-data --dry-run`
    /// shows what the next run will do with it.
    Set(Set),
}

/// A change to one policy.
#[derive(Debug, Args)]
pub(super) struct Set {
    /// Which table: see `policies list`.
    target: String,
    /// How long its rows are kept; never under the policy's floor.
    #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
    keep_days: Option<i32>,
    /// Why that long: the law, or the decision.
    #[arg(long, value_name = "TEXT")]
    legal_basis: Option<String>,
    /// Carry it out.
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Keep everything until it is enabled again.
    #[arg(long)]
    disable: bool,
    /// Who changes it, for the record; the user name if not given.
    #[arg(long)]
    actor: Option<String>,
    /// Why, for the record.
    #[arg(long)]
    reason: Option<String>,
}

/// Does what was asked with the policies.
///
/// # Errors
/// [`Usage`] when a change is not allowed; otherwise when a setting is wrong
/// or the database cannot be reached.
pub(super) async fn policies(settings: &Settings, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { json } => list(&settings.database()?.pool(), json).await,
        Command::Set(set) => change(settings, set).await,
    }
}

async fn list(db: &Pool, as_json: bool) -> anyhow::Result<ExitCode> {
    let policies = policies::all(db).await?;
    if as_json {
        let policies: Vec<Value> = policies.iter().map(in_json).collect();
        println(format_args!("{:#}", Value::from(policies)));
    } else {
        println(printable(&in_a_table(&policies).to_string()));
    }
    Ok(ExitCode::SUCCESS)
}

async fn change(settings: &Settings, set: Set) -> anyhow::Result<ExitCode> {
    let change = Change {
        keep_days: set.keep_days,
        legal_basis: set.legal_basis,
        enabled: (set.enable || set.disable).then_some(set.enable),
    };
    if change == Change::default() {
        let how = "say what to change: --keep-days, --legal-basis, --enable or --disable";
        return Err(Usage(how.to_owned()).into());
    }
    let author = Author {
        actor: set.actor.or_else(|| settings.user()),
        reason: set.reason,
    };
    let db = settings.database()?.pool();
    let changed = match policies::set(&db, &set.target, &change, &author).await {
        Ok(changed) => changed,
        Err(Unchanged::Refused(why)) => return Err(Usage(why).into()),
        Err(Unchanged::Failed(error)) => return Err(error.into()),
    };
    println(set.target);
    println(format_args!("  before: {}", in_words(&changed.before)));
    println(format_args!("  after:  {}", in_words(&changed.after)));
    if changed.before == changed.after {
        println("Nothing was changed.");
    } else {
        println("See what it means: jarvis-cron run cleanup-old-data --dry-run");
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(policy: &Policy) -> String {
    let disabled = if policy.enabled { "" } else { ", disabled" };
    let (action, days, basis) = (&policy.action, policy.keep_days, &policy.legal_basis);
    format!("{action} after {days} days{disabled}; {basis}")
}

fn in_json(policy: &Policy) -> Value {
    json!({
        "target": policy.target,
        "action": policy.action,
        "keep_days": policy.keep_days,
        "floor_days": policy.floor_days(),
        "enabled": policy.enabled,
        "legal_basis": policy.legal_basis,
        "updated_at": policy.updated_at,
    })
}

fn in_a_table(policies: &[Policy]) -> Table {
    let mut table = wide_table([
        "target",
        "action",
        "keep days",
        "floor",
        "enabled",
        "legal basis",
        "changed",
    ]);
    for policy in policies {
        table.add_row([
            policy.target.clone(),
            policy.action.clone(),
            policy.keep_days.to_string(),
            policy.floor_days().to_string(),
            if policy.enabled { "yes" } else { "no" }.to_owned(),
            policy.legal_basis.clone(),
            policy.updated_at.date_naive().to_string(),
        ]);
    }
    table
}
