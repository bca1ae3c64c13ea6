//! `reports link`: an address that opens one weekly report.

use std::process::ExitCode;

use chrono::Duration;
use clap::Subcommand;

use super::{Usage, now, println};
use crate::config::Settings;
use crate::reports::links::to_report;
use crate::reports::week::IsoWeek;

/// What can be done about reports.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a link that opens one report without a secret, until it expires.
    ///
    /// Needs PUBLIC_URL and LINK_SECRET, which signs it, or the operators'
    /// secret while that is unset. Does not look whether the report is there.
    Link {
        /// The gym's slug.
        gym: String,
        /// The week, such as 2026-W05.
        week: String,
        /// How many days it is good for.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=366))]
        days: u16,
    },
}

/// Does it.
///
/// # Errors
/// When a setting is missing or the week is none.
pub(super) fn reports(settings: &Settings, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Link { gym, week, days } = command;
    let week: IsoWeek = week.parse().map_err(|why: &str| Usage(why.to_owned()))?;
    settings.public_url()?;
    settings.link_secrets(false)?;
    let expires = now() + Duration::days(days.into());
    let links = settings.links()?;
    let link = links.and_then(|links| to_report(&links, &gym, week, expires));
    let Some(link) = link else {
        let why = "LINK_SECRET is not set; links are signed with it";
        return Err(Usage(why.to_owned()).into());
    };
    println(link);
    Ok(ExitCode::SUCCESS)
}
