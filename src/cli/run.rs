//! `run`: runs a job in this process, without HTTP.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::options::OptionArgs;
use super::{Usage, exit_code, jobs_in_use, println, progress, serve};
use crate::config::Settings;
use crate::engine::{self, Answer, Call, Caller, Continuation, Run, Status, Trigger, summary};
use crate::telemetry;

/// Which job is run, how, and which operator asks for it.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which job, such as expire-stale-orders; a wrong name lists them all.
    job: String,
    #[command(flatten)]
    options: OptionArgs,
    /// The operator, for the ledger; the user name if not given.
    #[arg(long)]
    actor: Option<String>,
    /// The reason, for the ledger.
    #[arg(long)]
    reason: Option<String>,
}

/// Runs the job and prints its run as JSON.
///
/// # Errors
/// When a setting is wrong or the ledger cannot be written.
pub(super) async fn run(settings: &Settings, typed: Arguments) -> anyhow::Result<ExitCode> {
    let (job, options) = typed.options.read(&typed.job, jobs_in_use(settings)?)?;
    if options.fan_out.is_some() {
        return Err(Usage(
            "--fan-out publishes messages that QStash delivers to a running service: use trigger to ask that service for it".into(),
        )
        .into());
    }
    let runner = serve::local_runner(settings)?;
    telemetry::init(settings.logs_for_people()?);
    let caller = Caller {
        trigger: Trigger::Cli,
        actor: typed.actor.or_else(|| settings.user()),
        reason: typed.reason,
        ..Caller::default()
    };
    serve::cancel_on_signal(&runner.stop);
    let progress = engine::progress();
    let seen = progress.subscribe();
    let shown = tokio::spawn(show(job.name, seen));
    let call = Call {
        job,
        options,
        caller,
    };
    let answer = runner.perform(call, &progress).await;
    drop(progress);
    shown.await?;
    let (run, continuation) = match answer.map_err(anyhow::Error::new)? {
        Answer::FutureMoment => return Err(Usage("--as-of lies in the future".into()).into()),
        Answer::Settled {
            run, continuation, ..
        }
        | Answer::Replayed { run, continuation } => (run, continuation),
        Answer::StillRunning(run) => (run, None),
    };
    println(format_args!("{:#}", in_full(&run)));
    if let Some(Continuation::Not(why)) = continuation {
        eprintln!("{why}");
    }
    let is_done = matches!(run.status, Status::Succeeded | Status::Partial);
    Ok(exit_code(is_done))
}

/// Shows the counts as they grow.
async fn show(job: &'static str, mut seen: watch::Receiver<Value>) {
    let spinner = progress::waiting(job);
    while seen.changed().await.is_ok() {
        let counts = summary(&seen.borrow_and_update());
        spinner.set_message(format!("{job}: {counts}"));
    }
    spinner.finish_and_clear();
}

fn in_full(run: &Run) -> Value {
    json!({
        "job": run.job,
        "status": run.status.name(),
        "run_id": run.id,
        "message": run.message(),
        "dry_run": run.dry_run,
        "started_at": run.started_at,
        "duration_ms": run.duration_ms.unwrap_or_default(),
        "results": run.results,
        "error": run.error,
    })
}
