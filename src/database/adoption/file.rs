//! A file of the host's, and what comes of it.

use sqlx::postgres::PgErrorPosition;
use sqlx::{Error, Executor};

use super::apply::Refusal;
use super::record::Created;
use super::snapshot;
use crate::database::{Fault, Transaction, Unprepared, fault};

/// A file that makes views.
#[derive(Debug)]
pub struct File {
    /// Its name, for the record.
    pub name: String,
    /// SQL, whose names without a schema are ours.
    pub text: String,
}

/// Runs the file, and answers what it created. It runs inside of a block, where
/// Postgres itself refuses to end the transaction, however that is written.
pub(super) async fn execute(db: &mut Transaction, file: &File) -> Result<Vec<Created>, Refusal> {
    let name = &file.name;
    let before = snapshot::take(Unprepared(db)).await?;
    let settings = settings(Unprepared(db)).await?;
    // A mark of the encoding at the beginning is no SQL.
    let text = file.text.trim_start_matches('\u{feff}');
    sqlx::query("select set_config('jarvis_cron.file', $1, true)")
        .bind(text)
        .execute(Unprepared(db))
        .await?;
    let run = "do $$ begin execute current_setting('jarvis_cron.file'); end $$";
    let ran = Unprepared(db).execute(run).await;
    ran.map_err(|error| file_error(&error, file).map_or_else(|| error.into(), Refusal::from))?;
    restore(Unprepared(db), &settings).await?;
    let found = before.compare(db).await?;
    if !found.changed.is_empty() {
        let changed = found.changed.join(", ");
        let why = format!(
            "{name} may only create tables, views, functions, triggers and indexes, for no drop could undo the rest; it changes, or creates, {changed}"
        );
        return Err(why.into());
    }
    Ok(found.created)
}

/// What the session is set to. A file could change it for the next client that a
/// pooler gives this connection to.
async fn settings(db: Unprepared<'_>) -> sqlx::Result<Vec<(String, String)>> {
    let read = "select name, setting from pg_settings where context in ('user', 'superuser')
                union all
                select 'role', current_setting('role')";
    sqlx::query_as(read).fetch_all(db).await
}

async fn restore(db: Unprepared<'_>, settings: &[(String, String)]) -> sqlx::Result<()> {
    let (names, values): (Vec<&str>, Vec<&str>) = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .unzip();
    let set = "select set_config(name, setting, false)
                 from unnest($1::text[], $2::text[]) as before (name, setting)
                where current_setting(name) is distinct from setting";
    sqlx::query(set)
        .bind(names)
        .bind(values)
        .execute(db)
        .await
        .map(drop)
}

/// What is wrong with the file, and where.
fn file_error(error: &Error, file: &File) -> Option<String> {
    if fault(error) == Fault::Contended {
        return None;
    }
    let error = error.as_database_error()?;
    let error = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    let line = match error.position() {
        // Not one inside of a function that the file calls.
        Some(PgErrorPosition::Internal { position, query }) if file.text.ends_with(query) => {
            let before = query.chars().take(position.saturating_sub(1));
            format!(", line {}", 1 + before.filter(|c| *c == '\n').count())
        }
        _ => String::new(),
    };
    let is_about_transactions = error.message().contains("transaction");
    if matches!(error.code(), "0A000" | "2D000") && is_about_transactions {
        return Some(format!(
            "{}: the file runs in one transaction, and may not end it",
            file.name
        ));
    }
    let (name, message) = (&file.name, error.message());
    let hint = error.hint().or(error.detail()).map(|it| format!(" ({it})"));
    Some(format!(
        "{name}{line}: {message}{}",
        hint.unwrap_or_default()
    ))
}
