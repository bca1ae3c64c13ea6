//! `list`: every schedule of the account, as QStash lists it.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::{Value, json};

use super::with_hint;
use crate::cli::println;
use crate::config::Settings;
use crate::qstash::client::{Client, Listed};
use crate::qstash::plan::printable;
use crate::qstash::schedules::PREFIX;

/// Prints all schedules of the account.
///
/// # Errors
/// When the token is missing or QStash cannot be asked.
pub(super) async fn list(settings: &Settings, as_json: bool) -> anyhow::Result<ExitCode> {
    let client = Client::new(settings.required_qstash()?)?;
    let mut listed = client
        .schedules()
        .await
        .map_err(|failure| with_hint(&failure))?;
    listed.sort_by_key(|listed| (!is_ours(listed), listed.id.clone()));
    if as_json {
        let listed: Value = listed.iter().map(render_json).collect();
        println(format_args!("{listed:#}"));
    } else {
        println(render_table(&listed));
    }
    Ok(ExitCode::SUCCESS)
}

fn is_ours(listed: &Listed) -> bool {
    listed.id.starts_with(PREFIX)
}

fn render_json(listed: &Listed) -> Value {
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

fn render_table(listed: &[Listed]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["schedule", "state", "cron", "calls", "last", "next"]);
    for one in listed {
        let text =
            |text: &Option<String>| text.as_deref().map_or_else(|| "?".to_owned(), printable);
        let state = match (one.is_paused, is_ours(one)) {
            (true, true) => "paused",
            (false, true) => "active",
            (true, false) => "paused, foreign",
            (false, false) => "active, foreign",
        };
        let states = printable(&one.last_states.join(", "));
        let last = format!("{} {states}", moment(one.last_at));
        table.add_row([
            printable(&one.id),
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
