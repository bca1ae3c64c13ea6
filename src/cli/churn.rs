//! `churn fit`: the churn model, fitted to a gym's own members.

use std::process::ExitCode;

use clap::Subcommand;

use super::options::moment;
use super::{Usage, println, progress, serve};
use crate::churn::fit::{self, Fitted};
use crate::config::Settings;
use crate::telemetry;
use crate::views::Views;

/// What to do with the churn model.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Refit the weights of daily-churn-analysis by logistic regression.
    ///
    /// Learns from six months of the gym's own visits and tests on the month
    /// after them. The new weights are stored, and used from the next run on,
    /// only when they beat the default there by both AUC and Brier score.
    /// Prints both of both, and why they were kept or not; exits 0 either way.
    Fit {
        /// Only this gym, by slug or id; every active one if not given.
        #[arg(long, value_name = "SLUG_OR_UUID")]
        gym: Option<String>,
        /// Fit and test, but store nothing.
        #[arg(long)]
        dry_run: bool,
        /// Fit as of that moment, such as 2026-11-01T03:00:00Z; weights that
        /// were fitted as of a later one stay in use.
        #[arg(long, value_name = "TIME")]
        as_of: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// When a setting is wrong, there is no such gym, or the database refuses.
pub(super) async fn run(settings: &Settings, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Fit {
        gym,
        dry_run,
        as_of,
        json,
    } = command;
    let as_of = as_of.as_deref().map(moment).transpose()?;
    let runner = serve::runner(settings)?;
    telemetry::init(settings.logs_for_people()?);
    let now = Views::of(&runner).now().await?;
    if as_of.is_some_and(|moment| moment > now) {
        return Err(Usage("--as-of lies in the future".into()).into());
    }
    let gyms = fit::gyms(&runner.db, gym.as_deref()).await?;
    if let (Some(gym), true) = (gym, gyms.is_empty()) {
        return Err(Usage(format!("there is no gym {gym:?}")).into());
    }
    let waiting = progress::waiting("fitting");
    let mut all = Vec::new();
    for gym in gyms {
        waiting.set_message(format!("fitting {}", gym.slug));
        let fitted = fit::fit(&runner.db, gym, as_of.unwrap_or(now), dry_run).await?;
        if json {
            all.push(fitted);
        } else {
            waiting.suspend(|| println(in_words(&fitted)));
        }
    }
    waiting.finish_and_clear();
    if json {
        println(format_args!("{:#}", serde_json::to_value(&all)?));
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(fitted: &Fitted) -> String {
    let mut lines = vec![format!("{}: {}", fitted.gym.slug, fitted.why)];
    if let Some(test) = &fitted.test {
        lines.push(format!(
            "  trained on {} rows, tested on {} of a later month, of whom {:.1} % did not come",
            fitted.trained_on,
            fitted.tested_on,
            test.base_rate * 100.0
        ));
        for (name, score) in [("fitted", &test.fitted), ("default", &test.default)] {
            lines.push(format!(
                "  {name:<8} AUC {:.4}   Brier {:.4}   mean score {:.1} %",
                score.auc,
                score.brier,
                score.mean * 100.0
            ));
        }
    }
    lines.join("\n")
}
