//! `pause` and `resume`: whether QStash calls our schedules.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{FileArgs, read_used, with_hint};
use crate::cli::{Usage, exit_code, println};
use crate::config::Settings;
use crate::qstash::client::{Client, Failure};
use crate::qstash::plan::is_our_id;
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

/// Pauses or resumes schedules of ours; one that fails does not stop the others.
///
/// # Errors
/// [`Usage`] when one is not ours; then nothing is done.
pub(super) async fn set_paused(
    settings: &Settings,
    named: &Named,
    pause: bool,
) -> anyhow::Result<ExitCode> {
    let schedules = read_used(settings, named.file.file.as_deref())?;
    let ids = ids(&schedules, &named.schedules)?;
    let client = Client::new(settings.required_qstash()?)?;
    let mut results = Vec::new();
    let mut is_done = true;
    for id in ids {
        let result = match set_one(&client, &id, pause).await {
            Ok(is_paused) => json!({ "id": id, "is_paused": is_paused }),
            Err(failure) => {
                is_done = false;
                eprintln!("jarvis-cron: {id}: {:#}", with_hint(&failure));
                json!({ "id": id, "error": failure.to_string() })
            }
        };
        results.push(result);
    }
    print(&results, named.json);
    Ok(exit_code(is_done))
}

/// Changes one, and checks that QStash lists it so.
async fn set_one(client: &Client, id: &str, pause: bool) -> Result<bool, Failure> {
    client.set_paused(id, pause).await?;
    match client.schedule(id).await? {
        Some(listed) if listed.is_paused == pause => Ok(pause),
        _ => Err(Failure::Unclear(
            "it accepted the change, and lists the schedule as it was".into(),
        )),
    }
}

/// The ids of the named schedules; ours only.
fn ids(schedules: &Schedules, named: &[String]) -> Result<Vec<String>, Usage> {
    let id = |name: &String| match schedules.of(name) {
        Some(schedule) => Ok(schedule.id.clone()),
        None if is_our_id(name) => Ok(name.clone()),
        None => Err(Usage(format!(
            "{name:?} is neither a job with a schedule nor an id that begins with {PREFIX}"
        ))),
    };
    named.iter().map(id).collect()
}

fn print(results: &[Value], as_json: bool) {
    if as_json {
        println(format_args!("{:#}", Value::from(results)));
        return;
    }
    for result in results {
        let id = result["id"].as_str().unwrap_or_default();
        let how = match result["is_paused"].as_bool() {
            Some(true) => "is paused: its ticks are skipped, and do not come later",
            Some(false) => "is called again, from its next tick on",
            None => continue,
        };
        println(format_args!("{id} {how}"));
    }
}
