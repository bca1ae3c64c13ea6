//! `schedules`: compares QStash's schedules with the file, and changes them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{Usage, exit_code, jobs_in_use, now, println, progress, serve};
use crate::config::Settings;
use crate::engine::Options;
use crate::jobs;
use crate::qstash::apply::{self, Outcome, Scope};
use crate::qstash::client::{Client, Failure};
use crate::qstash::plan::Wanted;
use crate::qstash::schedules::{Jobs, Schedules};

mod list;
mod pause;
mod render_apply;
mod render_clock_changes;
mod render_plan;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what apply would change, field by field; changes nothing.
    ///
    /// A read-only token is enough. Also shows how many deliveries a day that
    /// makes, and what happens on the nights on which clocks change.
    Plan(PlanArgs),
    /// Create and update schedules, so that the plan is empty.
    ///
    /// Unchanged ones are not written, paused ones stay paused, and one that
    /// fails does not stop the others. Checks afterwards that QStash lists what
    /// was sent; exits 1 when anything is not done. Safe to repeat.
    Apply(ApplyArgs),
    /// List every schedule of the account, ours and others.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let QStash skip the ticks of these schedules.
    ///
    /// Skipped ticks do not come later. To refuse every run of a job instead,
    /// pause the job in the service.
    Pause(pause::Named),
    /// Let QStash call these schedules again, from their next tick on.
    Resume(pause::Named),
}

/// What is compared, and how the plan is printed.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Exit 1 on any difference: something to create, update or prune.
    #[arg(long)]
    check: bool,
    /// The messages a day that your QStash plan allows; the default is the
    /// free plan's, as others report it.
    #[arg(long, value_name = "MESSAGES", default_value_t = 1_000)]
    quota: u32,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What is changed.
#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Delete schedules with our prefix that the file does not name.
    #[arg(long)]
    prune: bool,
    /// Write unchanged schedules as well, such as after a rotation of
    /// CRON_SECRET.
    #[arg(long)]
    rewrite: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Which file.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The file of schedules; the one that is part of this binary if not given.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Runs the subcommand.
///
/// # Errors
/// When a setting or the file is wrong, or QStash cannot be asked.
pub(super) async fn schedules(settings: &Settings, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Plan(typed) => plan(settings, &typed).await,
        Command::Apply(typed) => apply(settings, &typed).await,
        Command::List { json } => list::list(settings, json).await,
        Command::Pause(named) => pause::set_paused(settings, &named, true).await,
        Command::Resume(named) => pause::set_paused(settings, &named, false).await,
    }
}

/// The file, or the one that is part of this binary, checked against the jobs.
///
/// # Errors
/// [`Usage`] with every fault of the file.
pub fn read(file: Option<&Path>) -> anyhow::Result<Schedules> {
    let text = match file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Usage(format!("read {}: {error}", path.display())))?,
        None => Schedules::deployed_text().to_owned(),
    };
    let names = jobs::ALL.names();
    let jobs = Jobs {
        names: &names,
        accepts: &accepts,
    };
    Ok(Schedules::read(&text, &jobs).map_err(|faults| Usage(faults.to_string()))?)
}

/// The same without the schedules of jobs that are not in use.
fn read_used(settings: &Settings, file: Option<&Path>) -> anyhow::Result<Schedules> {
    let used = jobs_in_use(settings)?.names();
    Ok(read(file)?.only(&used))
}

/// The schedules as they should be, and the QStash to make equal to them.
struct SyncTarget {
    schedules: Schedules,
    wanted: Vec<Wanted>,
    previous: Option<SecretString>,
    client: Client,
    /// The address of QStash's API.
    api: String,
    /// The address that it calls.
    public_url: String,
    /// Whether the file names another address than `PUBLIC_URL`; the service
    /// would refuse its signatures.
    is_elsewhere: bool,
}

impl SyncTarget {
    fn new(settings: &Settings, file: &FileArgs) -> anyhow::Result<Self> {
        let schedules = read_used(settings, file.file.as_deref())?;
        let qstash = settings.required_qstash()?;
        let destination = settings.destination_for(&qstash)?;
        let public_url = schedules.base_url(&destination.public_url).to_owned();
        Ok(Self {
            wanted: schedules.wanted(&destination)?,
            schedules,
            previous: settings.cron_secret_previous(true)?,
            api: qstash.base.origin().ascii_serialization(),
            client: Client::new(qstash)?,
            is_elsewhere: public_url != destination.public_url,
            public_url,
        })
    }
}

async fn plan(settings: &Settings, typed: &PlanArgs) -> anyhow::Result<ExitCode> {
    let target = &SyncTarget::new(settings, &typed.file)?;
    let waiting = progress::waiting("asking QStash");
    let plan = apply::plan(&target.client, &target.wanted, target.previous.as_ref())
        .await
        .map_err(|failure| with_hint(&failure))?;
    waiting.finish_and_clear();
    let report = render_plan::Report {
        target,
        plan: &plan,
        quota: typed.quota,
        now: now(),
    };
    if typed.json {
        println(format_args!("{:#}", report.json()));
    } else {
        println(report.text());
    }
    Ok(exit_code(!typed.check || !plan.differs()))
}

async fn apply(settings: &Settings, typed: &ApplyArgs) -> anyhow::Result<ExitCode> {
    let target = SyncTarget::new(settings, &typed.file)?;
    let scope = Scope {
        prune: typed.prune,
        rewrite: typed.rewrite,
    };
    let stop = CancellationToken::new();
    serve::cancel_on_signal(&stop);
    let waiting = progress::waiting("applying the schedules");
    let previous = target.previous.as_ref();
    let applied = apply::apply(&target.client, &target.wanted, previous, scope, &stop)
        .await
        .map_err(|failure| with_hint(&failure).context("nothing was changed"))?;
    waiting.finish_and_clear();
    if typed.json {
        println(format_args!("{:#}", serde_json::to_value(&applied)?));
    } else {
        println(render_apply::render(&applied));
    }
    let mut outcomes = applied.iter().map(|one| one.outcome);
    let is_success = outcomes.all(|outcome| matches!(outcome, Outcome::Done | Outcome::Left));
    Ok(exit_code(is_success))
}

/// The failure, and how to fix it.
fn with_hint(failure: &Failure) -> anyhow::Error {
    let hint = failure.hint().map(|hint| format!("\n{hint}"));
    anyhow::anyhow!("{failure}{}", hint.unwrap_or_default())
}

/// Whether the job accepts this body on every tick.
fn accepts(job: &str, body: &Map<String, Value>) -> Result<(), String> {
    for name in ["as_of", "continuation_of", "dry_run", "shard"] {
        if body.contains_key(name) {
            return Err(format!(
                "{name} is not for schedules: they replay no fixed moment, continue no run, and do the whole work"
            ));
        }
    }
    let job = jobs::ALL
        .find(job)
        .ok_or_else(|| format!("there is no job {job:?}"))?;
    let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
    let options = Options::read(&body, "").map_err(|error| error.to_string())?;
    options.check(job.name, job.accepts)
}
