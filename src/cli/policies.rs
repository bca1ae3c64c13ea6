//! `policies`: shows and changes how long data is kept, and what else is erased
//! with a member.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use comfy_table::Table;
use serde_json::{Value, json};

use super::{Usage, println, wide_table};
use crate::config::Settings;
use crate::database::{self, Pool, TxLimits, Unprepared};
use crate::foreign_text::printable;
use crate::retention::policies::{self, Author, Change, Policy, Unchanged};
use crate::retention::rules::{self, PolicyFile, Rule, Survey, Unfit};

/// What to do with the policies.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show every policy with its floor and its legal basis.
    ///
    /// Names also what is erased with a member by a policy file, and what was
    /// added to the database that no rule knows.
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
    /// Turn policies on, as ones that were read.
    ///
    /// Where another program's tables stand for ours, `members` and `visits`
    /// are off until they are signed: they erase for good.
    Sign(Sign),
    /// Make the rules for columns and tables of your own those of a file.
    ///
    /// The file replaces all rules of before, and who did it is on record. See
    /// docs/retention.md for its form.
    #[command(visible_alias = "add")]
    Apply(Apply),
}

/// A policy file that is made so.
#[derive(Debug, Args)]
pub(super) struct Apply {
    /// JSON: {"erase": [{"table": …, "column": …, "action": …}]}.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Who changes it, for the record; the user name if not given.
    #[arg(long)]
    actor: Option<String>,
    /// Why, for the record.
    #[arg(long)]
    reason: Option<String>,
}

/// Policies that were read.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// Which tables: see `policies list`.
    #[arg(required = true)]
    targets: Vec<String>,
    /// Who signs, for the record; the user name if not given.
    #[arg(long)]
    actor: Option<String>,
    /// Why, for the record.
    #[arg(long)]
    reason: Option<String>,
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
        Command::Sign(typed) => sign(settings, typed).await,
        Command::Apply(typed) => apply(settings, typed).await,
    }
}

async fn list(db: &Pool, as_json: bool) -> anyhow::Result<ExitCode> {
    let policies = policies::all(db).await?;
    let mut tx = database::begin(db, TxLimits::READ).await?;
    let survey = rules::survey(&mut tx).await.context("read the rules")?;
    // Where it takes too long to count them, the rest is of use all the same.
    let ahead = policies::with_moment_ahead(Unprepared(&mut tx)).await.ok();
    if as_json {
        let policies = policies
            .iter()
            .map(|policy| in_json(policy, &survey, ahead));
        println(format_args!("{:#}", policies.collect::<Value>()));
    } else {
        println(printable(&in_a_table(&policies).to_string()));
        for line in in_lines(&survey) {
            println(printable(&line));
        }
        if let Some(members @ 1..) = ahead {
            println(format_args!(
                "Members who left, with a moment in the future, which says nothing of their last contact: {members}"
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a policy file says, and what none does.
fn in_lines(survey: &Survey) -> impl Iterator<Item = String> {
    let rules = survey.rules.iter().map(said);
    let broken = survey.broken.iter();
    let broken =
        broken.map(|rule| format!("No member is anonymised before this is corrected: {rule}"));
    let unknown = survey.unknown.iter();
    let unknown = unknown.map(|name| {
        format!("Not erased with a member: {name}; add it: jarvis-cron policies apply --file")
    });
    rules.chain(broken).chain(unknown)
}

fn said(rule: &Rule) -> String {
    format!("Erased with a member: {} ({})", rule.name(), rule.action)
}

async fn apply(settings: &Settings, typed: Apply) -> anyhow::Result<ExitCode> {
    let path = typed.file.display();
    let text = std::fs::read_to_string(&typed.file)
        .map_err(|error| Usage(format!("cannot read {path}: {error}")))?;
    let file: PolicyFile =
        serde_json::from_str(&text).map_err(|error| Usage(format!("{path}: {error}")))?;
    let author = Author {
        actor: typed.actor.or_else(|| settings.user()),
        reason: typed.reason,
    };
    let mut tx = database::begin(&settings.database()?.pool(), TxLimits::CONTROL).await?;
    match rules::replace(&mut tx, &file.erase, &author).await {
        Ok(_) => tx.commit().await?,
        Err(Unfit::Rule(why)) => return Err(Usage(why).into()),
        Err(Unfit::Failed(error)) => return Err(error.into()),
    }
    for rule in &file.erase {
        println(printable(&said(rule)));
    }
    println(format_args!("{} rules are in force.", file.erase.len()));
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

async fn sign(settings: &Settings, typed: Sign) -> anyhow::Result<ExitCode> {
    let author = Author {
        actor: typed.actor.or_else(|| settings.user()),
        reason: typed.reason,
    };
    let db = settings.database()?.pool();
    for target in &typed.targets {
        match policies::sign(&db, target, &author).await {
            Ok(signed) => println(format_args!("{target}: {}", in_words(&signed.after))),
            Err(Unchanged::Refused(why)) => return Err(Usage(why).into()),
            Err(Unchanged::Failed(error)) => return Err(error.into()),
        }
    }
    println("See what it means: jarvis-cron run cleanup-old-data --dry-run");
    Ok(ExitCode::SUCCESS)
}

fn in_words(policy: &Policy) -> String {
    let disabled = if policy.enabled { "" } else { ", disabled" };
    let (action, days, basis) = (&policy.action, policy.keep_days, &policy.legal_basis);
    format!("{action} after {days} days{disabled}; {basis}")
}

fn in_json(policy: &Policy, survey: &Survey, ahead: Option<i64>) -> Value {
    let mut shown = json!({
        "target": policy.target,
        "action": policy.action,
        "keep_days": policy.keep_days,
        "floor_days": policy.floor_days(),
        "enabled": policy.enabled,
        "legal_basis": policy.legal_basis,
        "updated_at": policy.updated_at,
    });
    if policy.target == "members" {
        shown["rules"] = json!(survey.rules);
        shown["broken_rules"] = json!(survey.broken);
        shown["not_erased"] = json!(survey.unknown);
        shown["with_moment_in_future"] = json!(ahead);
    }
    shown
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
