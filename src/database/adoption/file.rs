//! A file of the host's, and what comes of it.

use sqlx::postgres::PgErrorPosition;
use sqlx::{AssertSqlSafe, Error, Executor};

use super::apply::Refusal;
use super::record::Created;
use super::snapshot;
use crate::database::{Schema, Transaction, Unprepared};

/// A file that makes views.
#[derive(Debug)]
pub struct File {
    /// Its name, for the record.
    pub name: String,
    /// SQL, whose names without a schema are ours.
    pub text: String,
}

/// Runs the file, and answers what it created.
pub(super) async fn execute(
    db: &mut Transaction,
    schema: &Schema,
    file: &File,
) -> Result<Vec<Created>, Refusal> {
    let name = &file.name;
    if let Some(line) = file.text.lines().position(ends_transaction) {
        return Err(format!(
            "{name}, line {}: the file runs in one transaction, and may not end it",
            line + 1
        )
        .into());
    }
    let before = snapshot::take(Unprepared(db)).await?;
    let ran = Unprepared(db)
        .execute(AssertSqlSafe(file.text.as_str()))
        .await;
    ran.map_err(|error| file_error(&error, file).map_or_else(|| error.into(), Refusal::from))?;
    // Whatever the file has set.
    let reset = format!("set local search_path = {}", schema.search_path());
    Unprepared(db).execute(AssertSqlSafe(reset)).await?;
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

fn ends_transaction(line: &str) -> bool {
    let line = line.trim().to_lowercase();
    let words = ["begin", "start transaction", "commit", "rollback", "abort"];
    line.strip_suffix(';')
        .is_some_and(|rest| words.contains(&rest.trim_end()))
}

/// What is wrong with the file, and where.
fn file_error(error: &Error, file: &File) -> Option<String> {
    let error = error.as_database_error()?;
    if error.code().as_deref() == Some("55P03") {
        return None;
    }
    let error = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    let line = match error.position() {
        Some(PgErrorPosition::Original(at)) => {
            let before = file.text.chars().take(at.saturating_sub(1));
            format!(", line {}", 1 + before.filter(|c| *c == '\n').count())
        }
        _ => String::new(),
    };
    let (name, message) = (&file.name, error.message());
    let hint = error.hint().or(error.detail()).map(|it| format!(" ({it})"));
    Some(format!(
        "{name}{line}: {message}{}",
        hint.unwrap_or_default()
    ))
}
