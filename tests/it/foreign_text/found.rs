//! What is found of hostile words: in rows, in answers and in the log.

use std::io::Write;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use tracing::subscriber::DefaultGuard;

use super::{KEY, MARK};
use crate::app::{App, CRON_SECRET, CURRENT_KEY, OPERATOR_SECRET};

/// Every text in every row of the database.
pub(super) async fn texts_of_rows(app: &App) -> Vec<String> {
    let tables = app
        .rows("select tablename from pg_tables where schemaname = current_schema()")
        .await;
    let mut texts = Vec::new();
    for table in tables.as_array().unwrap() {
        let table = table["tablename"].as_str().unwrap();
        collect(
            &app.rows(&format!("select * from {table}")).await,
            &mut texts,
        );
    }
    texts
}

pub(super) fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, texts)),
        _ => {}
    }
}

/// What is logged in this thread while it lives.
pub(crate) struct Log(
    Arc<Mutex<Vec<u8>>>,
    #[expect(dead_code, reason = "ends with it")] DefaultGuard,
);

impl Log {
    pub(crate) fn begin() -> Self {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let writer = Arc::clone(&written);
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || Writer(Arc::clone(&writer)))
            .finish();
        Self(written, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for line in String::from_utf8_lossy(&self.0.lock()).lines() {
            collect(&serde_json::from_str(line).unwrap(), &mut texts);
        }
        texts
    }
}

pub(super) struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// No text holds a secret or what a reader does not see, and what is left of
/// the hostile ones is short; answers how many those are.
pub(super) fn assert_harmless(texts: &[String]) -> usize {
    for text in texts {
        for secret in [
            &KEY[..12],
            CRON_SECRET,
            OPERATOR_SECRET,
            CURRENT_KEY,
            "abcdefghijkl",
        ] {
            assert!(!text.contains(secret), "{secret} in {text:.600}");
        }
        let is_seen = |c: char| {
            !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        };
        assert!(text.chars().all(is_seen), "{text:.600?}");
    }
    let hostile: Vec<_> = texts.iter().filter(|text| text.contains(MARK)).collect();
    for text in &hostile {
        // In a log all results of a run are one text.
        let is_a_document = text.starts_with('{');
        assert!(is_a_document || text.chars().count() <= 300, "{text}");
        assert!(text.chars().count() <= 4_000, "{text:.600}");
    }
    hostile.len()
}
