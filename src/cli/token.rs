//! `sign` and `verify`: make and check a QStash token.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use super::{Message, exit_code, now};
use crate::config::Settings;
use crate::qstash::signature;

/// Prints a token for the message.
pub(super) fn sign(settings: &Settings, message: &Message) -> anyhow::Result<ExitCode> {
    let keys = settings.key_ring(true)?;
    let token = signature::sign(keys.current(), &message.url, &message.body()?, now())?;
    println!("{token}");
    Ok(ExitCode::SUCCESS)
}

/// Prints the guard's verdict.
pub(super) fn verify(
    settings: &Settings,
    message: &Message,
    token: &str,
    region: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let keys = settings.key_ring(true)?;
    let keys = keys.for_region(region);
    let body = message.body()?;
    let tolerance = chrono::Duration::zero();
    let verdict = signature::verify(token, &body, &message.url, keys, now(), tolerance);
    match &verdict {
        Ok(_) => println!("accepted"),
        Err(rejection) => println!("rejected: {rejection}"),
    }
    if verdict.as_ref().is_ok_and(|accepted| accepted.by_next_key) {
        eprintln!("signed with the next key: QStash has rolled its keys, update both variables");
    }
    Ok(exit_code(verdict.is_ok()))
}

impl Message {
    fn body(&self) -> anyhow::Result<Vec<u8>> {
        match self.body_file.as_deref() {
            None => Ok(Vec::new()),
            Some(file) if file == Path::new("-") => {
                let mut body = Vec::new();
                std::io::stdin()
                    .read_to_end(&mut body)
                    .context("read the body")?;
                Ok(body)
            }
            Some(file) => std::fs::read(file)
                .with_context(|| format!("read the body from {}", file.display())),
        }
    }
}
