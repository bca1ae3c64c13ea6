//! `adopt`: another program's tables stand for ours, or do so no more.
//!
//! Owns the words of it; [`crate::database::adoption`] does it. A file is tried
//! and undone by `check`, as `apply` would apply it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::doctor::explained;
use super::{Usage, exit_code, println, progress};
use crate::config::{Database, Settings};
use crate::database::adoption::contract::{self, PORTS, Port};
use crate::database::adoption::{self, Adoption, File, Finding, Refusal};
use crate::database::{Schema, Transaction, TxLimits, Unprepared, begin_alone_within};
use crate::foreign_text::printable;

mod words;

use words::{in_lines, of_left, refused, said, show, status, told};

/// How often it is tried while others hold what it needs, and how long between.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// What to do with the host's tables.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Try a file, or what was applied, and change nothing.
    ///
    /// With a file, does all that apply does, and undoes it. Names table,
    /// column and fix of all that does not keep the contract, and exits 1 then.
    Check {
        /// SQL that makes the views; what was applied if not given.
        #[arg(long, value_name = "FILE", requires = "ports")]
        file: Option<PathBuf>,
        /// The tables that would give way, as with `apply`.
        #[arg(long, value_name = "PORTS", value_delimiter = ',', requires = "file")]
        ports: Vec<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run a file, check what it made, and keep it; or undo all of it.
    Apply {
        #[command(flatten)]
        made_by: MadeBy,
        /// Who applies it, for the record; the user name if not given.
        #[arg(long)]
        actor: Option<String>,
    },
    /// Give the host its database back.
    ///
    /// Drops what the file created; our own tables stand again, empty. What the
    /// file wrote down in tables of its own stays for the next apply.
    Drop {
        /// Only what gave way to these; all of it if not given.
        #[arg(long, value_name = "PORTS", value_delimiter = ',')]
        ports: Vec<String>,
        /// Also the tables of the file that have rows.
        #[arg(long)]
        all: bool,
        /// Who drops it, for the record; the user name if not given.
        #[arg(long)]
        actor: Option<String>,
    },
    /// Show what is adopted, by which file, since when.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// A file, and the tables that give way to what it makes.
#[derive(Debug, Args)]
pub(super) struct MadeBy {
    /// SQL that makes the views.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The tables that give way: shop, gym, or single names. One of which the
    /// file makes no view stays ours.
    #[arg(long, value_name = "PORTS", value_delimiter = ',', required = true)]
    ports: Vec<String>,
}

/// Does what was asked.
///
/// # Errors
/// When a setting or an argument is wrong, or the database cannot be reached.
pub(super) async fn adopt(settings: &Settings, command: Command) -> anyhow::Result<ExitCode> {
    let database = settings.database()?;
    match command {
        Command::Check {
            file: None, json, ..
        } => check(&database, json).await,
        Command::Check {
            file: Some(file),
            ports,
            json,
        } => {
            let made_by = MadeBy { file, ports };
            let applied = apply(&database, &made_by, None).await?;
            let Some((tx, findings)) = told(applied, json) else {
                return Ok(ExitCode::FAILURE);
            };
            tx.rollback().await;
            if json {
                println(format_args!(
                    "{:#}",
                    json!({ "is_kept": true, "findings": findings })
                ));
            } else {
                println("The contract is kept. Nothing was changed.");
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Apply { made_by, actor } => {
            let actor = actor.or_else(|| settings.user());
            let applied = apply(&database, &made_by, actor.as_deref()).await?;
            let Some((mut tx, _)) = told(applied, false) else {
                return Ok(ExitCode::FAILURE);
            };
            let adopted = adoption::adoptions(Unprepared(&mut tx)).await?;
            tx.commit().await.context("commit")?;
            if let Some(newest) = adopted.last() {
                println(format_args!("Applied: {}", said(newest)));
            }
            println("Have a look: jarvis-cron doctor");
            Ok(ExitCode::SUCCESS)
        }
        Command::Drop { ports, all, actor } => {
            let actor = actor.or_else(|| settings.user());
            drop_ports(&database, &ports, all, actor.as_deref()).await
        }
        Command::Status { json } => status(&database, json).await,
    }
}

async fn begin(database: &Database) -> anyhow::Result<Transaction> {
    let options = database.direct.clone();
    let explained = |error: sqlx::Error| {
        let (what, fix) = explained(&error);
        anyhow!("{what}; {fix}")
    };
    let begun = begin_alone_within(options, &database.terms, &TxLimits::ADOPTION).await;
    let mut tx = begun.map_err(explained)?;
    if !adoption::has_record(&mut tx).await.map_err(explained)? {
        bail!("the tables are not there, or not up to date: run jarvis-cron migrate");
    }
    Ok(tx)
}

type Applied = Result<(Transaction, Vec<Finding>), Refusal>;

/// Applies the file, and does not commit.
async fn apply(
    database: &Database,
    made_by: &MadeBy,
    actor: Option<&str>,
) -> anyhow::Result<Applied> {
    let ports = ports(&made_by.ports)?;
    let path = made_by.file.display();
    let text = std::fs::read_to_string(&made_by.file)
        .map_err(|error| Usage(format!("cannot read {path}: {error}")))?;
    let name = made_by.file.file_name().unwrap_or_default();
    let file = File {
        name: name.to_string_lossy().into_owned(),
        text,
    };
    let waiting = progress::waiting("trying the file");
    let schema = &database.terms.schema;
    let mut tries = 0;
    let applied = loop {
        let mut tx = begin(database).await?;
        tries += 1;
        match adoption::apply(&mut tx, schema, &ports, &file, actor).await {
            Ok(findings) => break Ok((tx, findings)),
            Err(Refusal::InUse) if tries < TRIES => {
                tx.rollback().await;
                waiting.set_message("letting others pass, who hold what it needs");
                tokio::time::sleep(PAUSE).await;
            }
            Err(refusal) => {
                tx.rollback().await;
                break Err(refusal);
            }
        }
    };
    waiting.finish_and_clear();
    Ok(applied)
}

async fn check(database: &Database, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut tx = begin(database).await?;
    let findings = adoption::check(&mut tx, Some(&database.terms.schema)).await?;
    tx.rollback().await;
    let is_kept = !findings.iter().any(Finding::is_failure);
    if as_json {
        println(format_args!(
            "{:#}",
            json!({ "is_kept": is_kept, "findings": findings })
        ));
    } else {
        show(&findings);
        println(if is_kept {
            "The contract is kept. Nothing was changed."
        } else {
            "Nothing was changed."
        });
    }
    Ok(exit_code(is_kept))
}

async fn drop_ports(
    database: &Database,
    only: &[String],
    with_rows: bool,
    actor: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let meant = ports(only)?;
    let mut tx = begin(database).await?;
    let mut adopted = adoption::adoptions(Unprepared(&mut tx)).await?;
    let is_meant = |port: &String| meant.iter().any(|meant| meant.name == port);
    let is_of_none = adopted.is_empty();
    adopted.retain(|it| meant.is_empty() || it.ports.iter().any(is_meant));
    let dropped = if is_of_none && with_rows {
        adoption::drop_left(&mut tx)
            .await
            .map(|left| of_left(&left))
    } else {
        drop_each(&mut tx, &database.terms.schema, &adopted, with_rows, actor).await
    };
    let lines = match dropped {
        Ok(lines) => lines,
        Err(refusal) => {
            tx.rollback().await;
            for why in refused(&refusal) {
                eprintln!("jarvis-cron: {}", printable(&why));
            }
            eprintln!("Nothing was changed.");
            return Ok(ExitCode::FAILURE);
        }
    };
    tx.commit().await.context("commit")?;
    for line in lines {
        println(printable(&line));
    }
    Ok(ExitCode::SUCCESS)
}

async fn drop_each(
    tx: &mut Transaction,
    schema: &Schema,
    adopted: &[Adoption],
    with_rows: bool,
    actor: Option<&str>,
) -> Result<Vec<String>, Refusal> {
    let mut lines = Vec::new();
    for adoption in adopted.iter().rev() {
        let dropped = adoption::drop(tx, schema, adoption, with_rows, actor).await?;
        lines.extend(in_lines(&dropped));
    }
    if lines.is_empty() {
        lines.push("Nothing is adopted.".to_owned());
    }
    Ok(lines)
}

/// The ports of these names, and of these groups.
fn ports(names: &[String]) -> Result<Vec<&'static Port>, Usage> {
    let is_meant = |port: &Port, name: &str| name == port.name || name == port.group.name();
    let unknown = names
        .iter()
        .find(|name| !PORTS.iter().any(|port| is_meant(port, name)));
    if let Some(name) = unknown {
        let known = contract::names().join(", ");
        return Err(Usage(format!("{name:?} is no port: shop, gym, {known}")));
    }
    let ports = PORTS.iter();
    Ok(ports
        .filter(|port| names.iter().any(|name| is_meant(port, name)))
        .collect())
}
