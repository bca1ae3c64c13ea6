//! `sign` and `verify`: make and check a QStash token.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::{exit_code, now, println};
use crate::config::Settings;
use crate::qstash::signature;

/// What was signed.
#[derive(Debug, Args)]
pub(super) struct Message {
    /// The address that is called: PUBLIC_URL, path and query.
    #[arg(long)]
    url: String,
    /// The body, byte for byte; `-` reads standard input. Empty if not given.
    #[arg(long)]
    body_file: Option<PathBuf>,
}

/// A token, and what it is said to be signed for.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    message: Message,
    /// The value of the Upstash-Signature header.
    #[arg(long)]
    signature: String,
    /// The value of the Upstash-Region header, if there was one.
    #[arg(long)]
    region: Option<String>,
}

/// Prints a token for the message.
pub(super) fn sign(settings: &Settings, message: &Message) -> anyhow::Result<ExitCode> {
    let keys = settings.key_ring(true)?;
    let token = signature::sign(keys.current(), &message.url, &message.body()?, now())?;
    println(token);
    Ok(ExitCode::SUCCESS)
}

/// Prints the guard's verdict.
pub(super) fn verify(settings: &Settings, typed: &Verify) -> anyhow::Result<ExitCode> {
    let keys = settings.key_ring(true)?;
    let keys = keys.for_region(typed.region.as_deref());
    let (token, message) = (&typed.signature, &typed.message);
    let body = message.body()?;
    let tolerance = chrono::Duration::zero();
    let verdict = signature::verify(token, &body, &message.url, keys, now(), tolerance);
    match &verdict {
        Ok(_) => println("accepted"),
        Err(rejection) => println(format_args!("rejected: {rejection}")),
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
