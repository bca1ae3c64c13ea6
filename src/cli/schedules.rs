//! `schedules`: what QStash calls, and when, held against the file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::{Usage, progress, say, serve};
use crate::config::Settings;
use crate::engine::Options;
use crate::jobs;
use crate::qstash::apply::{self, Outcome, Scope};
use crate::qstash::client::{Client, Failure};
use crate::qstash::plan::Wanted;
use crate::qstash::schedules::{Jobs, Schedules};

mod apply_shown;
mod nights_shown;
mod plan_shown;
mod standing;

/// What can be done about schedules.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what apply would change, field by field; changes nothing.
    ///
    /// A read-only token is enough. Also says how many deliveries a day that
    /// makes, and what happens on the nights on which clocks change.
    Plan {
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
    },
    /// Create and update schedules, so that the plan is empty.
    ///
    /// Unchanged ones are not written, paused ones stay paused, and one that
    /// fails does not keep the others from being done. Looks afterwards
    /// whether QStash lists what it was told; exits 1 when anything is not
    /// done. Safe to repeat.
    Apply {
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
    },
    /// List every schedule of the account, ours and others.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let QStash leave out the ticks of these schedules.
    ///
    /// What is left out does not come later. To refuse runs in this service
    /// instead, whoever starts them, pause the job there.
    Pause(standing::Named),
    /// Let QStash call these schedules again, from their next tick on.
    Resume(standing::Named),
}

/// Which file.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The file of schedules; the one that is part of this binary if not given.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Does what was asked with the schedules.
///
/// # Errors
/// When a setting or the file is wrong, or QStash cannot be asked.
pub(super) async fn schedules(settings: &Settings, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Plan {
            file,
            check,
            quota,
            json,
        } => plan(&Side::of(settings, &file)?, check, quota, json).await,
        Command::Apply {
            file,
            prune,
            rewrite,
            json,
        } => apply(&Side::of(settings, &file)?, Scope { prune, rewrite }, json).await,
        Command::List { json } => standing::list(settings, json).await,
        Command::Pause(named) => standing::change(settings, &named, true).await,
        Command::Resume(named) => standing::change(settings, &named, false).await,
    }
}

/// The file, or what is part of this binary, as these jobs allow it.
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

/// Our side of the comparison, and the way to the other.
struct Side {
    schedules: Schedules,
    wanted: Vec<Wanted>,
    previous: Option<SecretString>,
    client: Client,
    /// Where QStash's API stands.
    api: String,
    /// What it is told to call.
    public_url: String,
    /// Whether the file names another address than `PUBLIC_URL`, for which
    /// the service would not accept a signature.
    is_elsewhere: bool,
}

impl Side {
    fn of(settings: &Settings, file: &FileArgs) -> anyhow::Result<Self> {
        let schedules = read(file.file.as_deref())?;
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

async fn plan(side: &Side, check: bool, quota: u32, as_json: bool) -> anyhow::Result<ExitCode> {
    let waiting = progress::waiting("asking QStash");
    let plan = apply::plan(&side.client, &side.wanted, side.previous.as_ref())
        .await
        .map_err(|failure| explained(&failure))?;
    waiting.finish_and_clear();
    let shown = plan_shown::Shown {
        side,
        plan: &plan,
        quota,
        now: now(),
    };
    if as_json {
        say(format_args!("{:#}", shown.json()));
    } else {
        say(format_args!("{shown}"));
    }
    Ok(if check && plan.differs() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn apply(side: &Side, scope: Scope, as_json: bool) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        serve::told_to_stop().await;
        told.cancel();
    });
    let waiting = progress::waiting("applying the schedules");
    let previous = side.previous.as_ref();
    let applied = apply::apply(&side.client, &side.wanted, previous, scope, &stop)
        .await
        .map_err(|failure| explained(&failure).context("nothing was changed"))?;
    waiting.finish_and_clear();
    if as_json {
        say(format_args!("{:#}", serde_json::to_value(&applied)?));
    } else {
        say(format_args!("{}", apply_shown::in_words(&applied)));
    }
    let is_done = |outcome| matches!(outcome, Outcome::Done | Outcome::Left);
    Ok(if applied.iter().all(|one| is_done(one.outcome)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The failure, and what to do about it.
fn explained(failure: &Failure) -> anyhow::Error {
    match failure.mend() {
        Some(mend) => anyhow::anyhow!("{failure}\n{mend}"),
        None => anyhow::anyhow!("{failure}"),
    }
}

/// Whether the job takes this body on every tick.
fn accepts(job: &str, body: &Map<String, Value>) -> Result<(), String> {
    for name in ["as_of", "continuation_of", "dry_run", "shard"] {
        if body.contains_key(name) {
            return Err(format!(
                "{name} is not for schedules: they replay no fixed moment, continue no run, and do all of their work"
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

#[expect(
    clippy::disallowed_methods,
    reason = "a plan is about the days after the call"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
