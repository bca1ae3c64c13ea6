//! The command line.
//!
//! Owns the arguments and the exit codes: 0 success, 1 a run or a command
//! failed, 2 wrong settings or wrong usage. Each command has its own file.

use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::{Parser, Subcommand};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};

use crate::config::{Read, Settings, Wrong};
use crate::engine::Registry;
use crate::foreign_text::printable;
use crate::{jobs, telemetry};

mod adopt;
pub mod call;
mod churn;
mod doctor;
pub mod migrate;
pub mod options;
mod policies;
pub(crate) mod progress;
mod reports;
mod run;
pub mod schedules;
pub mod serve;
mod token;
mod trigger;

/// Scheduled jobs as plain HTTPS endpoints.
///
/// QStash calls `POST /api/cron/<job>` on its schedules, operators call the
/// same routes with curl, and everything that must last is in Postgres.
/// Settings come from the environment; docs/settings.md lists them.
#[derive(Debug, Parser)]
#[command(name = "jarvis-cron", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer HTTP until SIGTERM or Ctrl-C.
    ///
    /// Starts also while the database is unreachable; /health/ready reports it.
    /// On SIGTERM the batch in flight ends, its run is settled as partial, and
    /// the process exits within ten seconds.
    Serve {
        /// Accept weak secrets and QStash's public keys, on this machine only.
        #[arg(long)]
        dev: bool,
    },
    /// Bring the database's tables up to date.
    ///
    /// Uses DATABASE_DIRECT_URL where it is set, because migrations take a
    /// session lock that a transaction-mode pooler cannot keep. Safe to run
    /// twice, and at the same time. Makes the schema DATABASE_SCHEMA. Looks
    /// first: when something stands against it, it writes nothing, says all of
    /// it, and exits 2.
    Migrate(migrate::Arguments),
    /// Let the tables of another program's database stand for ours.
    ///
    /// A file of the host's makes views of the names of ours, over its own
    /// tables; see docs/adopting.md. Uses DATABASE_DIRECT_URL where it is set,
    /// with a role that may create on the host's tables.
    #[command(subcommand)]
    Adopt(adopt::Command),
    /// Run a job here and now, without HTTP.
    ///
    /// Takes the same lease and writes the same ledger as a delivery. Prints
    /// the run as JSON; exits 1 when it failed or another run is alive.
    Run(run::Arguments),
    /// Fit the churn model to what a gym's members did.
    #[command(subcommand)]
    Churn(churn::Command),
    /// Sign and post a delivery to a running service, as QStash would.
    ///
    /// Needs CRON_SECRET and QSTASH_CURRENT_SIGNING_KEY. Retries any answer but
    /// 2xx as QStash would: after 12 s, 2m 28s, 30m 8s, or when the answer asks
    /// to. Prints one line for each attempt, then the last answer; exits 0 when
    /// it is 2xx.
    Trigger(trigger::Trigger),
    /// Print a token as QStash would sign it, for curl.
    ///
    /// Signs with QSTASH_CURRENT_SIGNING_KEY, for five minutes.
    Sign(token::Message),
    /// Check a token, and print why it is rejected.
    ///
    /// Finds out why deliveries get 401: that answer never gives the reason.
    /// Keys come from the environment. Prints `accepted`, or `rejected:
    /// <reason>` and exits 1.
    Verify(token::Verify),
    /// Find what keeps the service from working, each with its fix.
    ///
    /// Checks the settings, the database and its migrations, the clocks,
    /// QStash's token, keys and schedules, Stripe, and the service at
    /// PUBLIC_URL. Changes nothing and prints no secret. Exits 1 when something
    /// does not work.
    Doctor(doctor::Doctor),
    /// Show or change how long data is kept.
    ///
    /// Needs DATABASE_URL only. The job cleanup-old-data carries the policies
    /// out.
    #[command(subcommand)]
    Policies(policies::Command),
    /// Make QStash's schedules those of qstash-schedules.json, or list them.
    ///
    /// Needs QSTASH_TOKEN; plan and apply also need PUBLIC_URL, which QStash
    /// calls, and CRON_SECRET, which it sends. See docs/schedules.md.
    #[command(subcommand)]
    Schedules(schedules::Command),
    /// Weekly reports: links to share.
    #[command(subcommand)]
    Reports(reports::Command),
    /// Run every job once on sample data, with a private Postgres, Stripe and QStash.
    #[cfg(feature = "demo")]
    Demo(crate::demo::Arguments),
}

/// Runs the command that was typed.
#[must_use]
pub fn main() -> ExitCode {
    run_command().unwrap_or_else(|error| fail(&error))
}

fn run_command() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let settings = Settings::from_env();
    settings.hide_secrets();
    let exit = runtime.block_on(dispatch(cli.command, settings));
    // A name look-up without an answer must not delay the exit.
    runtime.shutdown_background();
    exit
}

async fn dispatch(command: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve { dev } => {
            telemetry::init(settings.logs()?);
            serve::serve(&settings, dev).await
        }
        Command::Migrate(typed) => migrate::migrate(&settings, &typed).await,
        Command::Adopt(command) => adopt::adopt(&settings, command).await,
        Command::Run(typed) => run::run(&settings, typed).await,
        Command::Churn(command) => churn::run(&settings, command).await,
        Command::Trigger(typed) => trigger::trigger(&settings, typed).await,
        Command::Sign(message) => token::sign(&settings, &message),
        Command::Verify(typed) => token::verify(&settings, &typed),
        Command::Doctor(typed) => Ok(doctor::doctor(&settings, &typed).await),
        Command::Policies(command) => policies::policies(&settings, command).await,
        Command::Schedules(command) => schedules::schedules(&settings, command).await,
        Command::Reports(command) => reports::reports(&settings, command),
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => crate::demo::demo(&settings, arguments).await,
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("jarvis-cron: {}", printable(&format!("{error:#}")));
    if error.downcast_ref::<Wrong>().is_some() || error.downcast_ref::<Usage>().is_some() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

/// Prints a line. A reader that closes the pipe, such as `head`, does not
/// make the command fail.
fn println(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A table of 120 characters, whose columns share what there is.
fn wide_table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(120);
    table.set_header(header);
    table
}

/// The jobs that are in use.
///
/// # Errors
/// When `JOBS` is wrong.
fn jobs_in_use(settings: &Settings) -> Read<Registry> {
    let used = settings.jobs(&jobs::ALL.names())?;
    Ok(jobs::ALL.only(&used))
}

/// This machine's clock. A command acts for QStash, which dates its tokens by
/// such a clock, or for a person, who sees one.
#[expect(
    clippy::disallowed_methods,
    reason = "no command judges rows by this clock"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// 0 or 1.
pub(crate) fn exit_code(is_success: bool) -> ExitCode {
    ExitCode::from(u8::from(!is_success))
}

/// Arguments that make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);
