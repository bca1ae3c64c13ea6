//! `list`, `pause` and `resume`: how the schedules stand at QStash.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::{Value, json};

use super::{FileArgs, explained, read};
use crate::cli::Usage;
use crate::cli::say;
use crate::config::Settings;
use crate::qstash::client::{Client, Failure, Listed};
use crate::qstash::plan::shown;
use crate::qstash::schedules::{PREFIX, Schedules};

/// Which schedules.
#[derive(Debug, Args)]
pub(in crate::cli) struct Named {
    /// Jobs such as weekly-reports, or ids such as jarvis-weekly-reports.
    #[arg(required = true, value_name = "JOB OR ID")]
    schedules: Vec<String>,
    #[command(flatten)]
    file: FileArgs,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Prints all schedules of the account.
///
/// # Errors
/// When the token is missing or QStash cannot be asked.
pub(super) async fn list(settings: &Settings, as_json: bool) -> anyhow::Result<ExitCode> {
    let client = Client::new(settings.required_qstash()?)?;
    let mut listed = client
        .schedules()
        .await
        .map_err(|failure| explained(&failure))?;
    listed.sort_by_key(|listed| (!is_ours(listed), listed.id.clone()));
    if as_json {
        let listed: Vec<Value> = listed.iter().map(in_json).collect();
        say(format_args!("{:#}", Value::from(listed)));
    } else {
        say(format_args!("{}", in_a_table(&listed)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Pauses or resumes schedules of ours, each for itself.
///
/// # Errors
/// [`Usage`] when one is not ours; then nothing is done.
pub(super) async fn change(
    settings: &Settings,
    named: &Named,
    pause: bool,
) -> anyhow::Result<ExitCode> {
    let schedules = read(named.file.file.as_deref())?;
    let ids = ids(&schedules, &named.schedules)?;
    let client = Client::new(settings.required_qstash()?)?;
    let mut stands = Vec::new();
    let mut is_done = true;
    for id in ids {
        let stand = match change_one(&client, &id, pause).await {
            Ok(is_paused) => json!({ "id": id, "is_paused": is_paused }),
            Err(failure) => {
                is_done = false;
                eprintln!("jarvis-cron: {id}: {:#}", explained(&failure));
                json!({ "id": id, "error": failure.to_string() })
            }
        };
        stands.push(stand);
    }
    print(&stands, named.json);
    Ok(if is_done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Changes one, and looks whether QStash agrees.
async fn change_one(client: &Client, id: &str, pause: bool) -> Result<bool, Failure> {
    if pause {
        client.pause_schedule(id).await?;
    } else {
        client.resume_schedule(id).await?;
    }
    match client.schedule(id).await? {
        Some(listed) if listed.is_paused == pause => Ok(pause),
        _ => Err(Failure::Unclear {
            message: "it agreed, and lists the schedule as it was".to_owned(),
        }),
    }
}

/// <https://upstash.com/docs/qstash/api-reference/schedules/create-a-schedule>
fn is_of_an_id(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// The ids of what was named; none of others.
fn ids(schedules: &Schedules, named: &[String]) -> Result<Vec<String>, Usage> {
    let id = |name: &String| {
        let is_an_id = name
            .strip_prefix(PREFIX)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(is_of_an_id));
        match schedules.of(name) {
            Some(schedule) => Ok(schedule.id.clone()),
            None if is_an_id => Ok(name.clone()),
            None => Err(Usage(format!(
                "{name:?} is neither a job with a schedule nor an id that begins with {PREFIX}"
            ))),
        }
    };
    named.iter().map(id).collect()
}

fn print(stands: &[Value], as_json: bool) {
    if as_json {
        say(format_args!("{:#}", Value::from(stands)));
        return;
    }
    for stand in stands {
        let id = stand["id"].as_str().unwrap_or_default();
        let how = match stand["is_paused"].as_bool() {
            Some(true) => "is paused: its ticks are left out, and do not come later",
            Some(false) => "is called again, from its next tick on",
            None => continue,
        };
        say(format_args!("{id} {how}"));
    }
}

fn is_ours(listed: &Listed) -> bool {
    listed.id.starts_with(PREFIX)
}

fn in_json(listed: &Listed) -> Value {
    json!({
        "id": listed.id,
        "is_ours": is_ours(listed),
        "is_paused": listed.is_paused,
        "cron": listed.cron,
        "destination": listed.destination,
        "last_at": listed.last_at,
        "next_at": listed.next_at,
        "last_states": listed.last_states,
    })
}

fn in_a_table(listed: &[Listed]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["schedule", "state", "cron", "calls", "last", "next"]);
    for one in listed {
        let text = |text: &Option<String>| text.as_deref().map_or_else(|| "?".to_owned(), shown);
        let state = match (one.is_paused, is_ours(one)) {
            (true, true) => "paused",
            (false, true) => "active",
            (true, false) => "paused, foreign",
            (false, false) => "active, foreign",
        };
        let states = shown(&one.last_states.join(", "));
        let last = format!("{} {states}", moment(one.last_at));
        table.add_row([
            shown(&one.id),
            state.to_owned(),
            text(&one.cron),
            text(&one.destination),
            last.trim().to_owned(),
            moment(one.next_at),
        ]);
    }
    table
}

fn moment(moment: Option<DateTime<Utc>>) -> String {
    moment.map_or_else(
        || "-".to_owned(),
        |moment| moment.format("%Y-%m-%d %H:%M UTC").to_string(),
    )
}
