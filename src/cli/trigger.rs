//! `trigger`: delivers to a running service, and retries as QStash would.
//!
//! Every attempt carries the same message id and a fresh token, so that the
//! service recognises a redelivery, as it does for QStash.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use reqwest::header::HeaderValue;

use super::call::{Answer, Delivery, new_message_id};
use super::options::OptionArgs;
use super::{Usage, exit_code, jobs_in_use, now, println, progress, serve};
use crate::config::Settings;
use crate::qstash::retry;

/// What is delivered, where to, and how often it is retried.
#[derive(Debug, Args)]
pub(super) struct Trigger {
    /// Which job, such as expire-stale-orders; a wrong name lists them all.
    job: String,
    /// Where the service listens; PUBLIC_URL if not given.
    #[arg(long)]
    url: Option<String>,
    /// The service's own PUBLIC_URL, when that is not where it listens; the
    /// token is signed for it.
    #[arg(long)]
    public_url: Option<String>,
    /// The message id; the same id twice is a redelivery. A new one if not given.
    #[arg(long)]
    message_id: Option<String>,
    /// Deliveries after the first one has failed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    retries: u32,
    /// Wait that long before each retry, such as 2s, instead of QStash's waits.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    retry_delay: Option<Duration>,
    #[command(flatten)]
    options: OptionArgs,
}

/// Delivers until an attempt succeeds or none is left, and prints the last
/// answer.
///
/// # Errors
/// When a setting is wrong, or the last attempt got no answer.
pub(super) async fn trigger(settings: &Settings, typed: Trigger) -> anyhow::Result<ExitCode> {
    let delivery = delivery(settings, &typed)?;
    let waiting = progress::waiting(&format!("{} at {}", delivery.job.name, delivery.url));
    let done = tokio::select! {
        done = deliver(&delivery, &typed, &waiting) => Some(done),
        () = serve::stop_signal() => None,
    };
    waiting.finish_and_clear();
    let Some(done) = done else {
        eprintln!(
            "stopped; to continue with the same message: --message-id {}",
            delivery.message_id
        );
        return Ok(ExitCode::FAILURE);
    };
    let answer = done?;
    println(format_args!("{:#}", answer.body));
    Ok(exit_code(answer.is_success()))
}

fn delivery(settings: &Settings, typed: &Trigger) -> anyhow::Result<Delivery> {
    let (job, options) = typed.options.read(&typed.job, jobs_in_use(settings)?)?;
    let public_url = match (&typed.public_url, &typed.url, settings.public_url()) {
        (Some(public_url), _, _) => public_url.clone(),
        (None, _, Ok(public_url)) => public_url,
        (None, Some(url), Err(_)) => url.clone(),
        (None, None, Err(wrong)) => return Err(wrong.into()),
    };
    let message_id = typed.message_id.clone();
    let delivery = Delivery {
        job,
        url: typed.url.clone().unwrap_or_else(|| public_url.clone()),
        public_url,
        body: serde_json::to_string(&options)?,
        message_id: message_id.unwrap_or_else(new_message_id),
        cron_secret: settings.cron_secret(true)?,
        signing_key: settings.key_ring(true)?.current().clone(),
    };
    delivery.address()?;
    if HeaderValue::from_str(&delivery.message_id).is_err() {
        return Err(Usage("a message id must be one line of plain text".to_owned()).into());
    }
    Ok(delivery)
}

/// Attempt after attempt, until one succeeds, none is left, or a retry is useless.
async fn deliver(
    delivery: &Delivery,
    typed: &Trigger,
    waiting: &ProgressBar,
) -> anyhow::Result<Answer> {
    for retried in 0.. {
        let attempt = delivery.attempt(retried).await;
        let next = next(&attempt, retried, typed);
        waiting.suspend(|| print_attempt(&attempt, delivery, retried, typed, next));
        match next {
            Err(_) => return attempt,
            Ok(wait) => sleep(wait, waiting).await,
        }
    }
    anyhow::bail!("no attempt was made")
}

/// How long to wait before the next attempt, or why there is none.
fn next(
    attempt: &anyhow::Result<Answer>,
    retried: u32,
    typed: &Trigger,
) -> Result<Duration, &'static str> {
    let wait = match attempt {
        Ok(answer) if answer.is_success() => return Err(""),
        Ok(answer) if retry::is_final(answer.status, &answer.headers) => {
            return Err("; no retry can succeed");
        }
        Ok(answer) => retry::wait(&answer.headers, now(), retried + 1),
        Err(_) => retry::backoff(retried + 1),
    };
    if retried >= typed.retries {
        return Err("; gave up");
    }
    Ok(typed.retry_delay.unwrap_or(wait))
}

/// One line for each attempt.
fn print_attempt(
    attempt: &anyhow::Result<Answer>,
    delivery: &Delivery,
    retried: u32,
    typed: &Trigger,
    next: Result<Duration, &'static str>,
) {
    let answer = match attempt {
        Ok(answer) => answer.status.to_string(),
        Err(error) => format!("no answer ({error:#})"),
    };
    let then = match next {
        Ok(wait) => format!("; again in {}", humantime::format_duration(wait)),
        Err(why) => why.to_owned(),
    };
    let (number, most, id) = (retried + 1, typed.retries + 1, &delivery.message_id);
    eprintln!("attempt {number} of {most}: {answer} {id}{then}");
}

/// Waits, and shows the time left on a terminal.
async fn sleep(wait: Duration, waiting: &ProgressBar) {
    const STEP: Duration = Duration::from_secs(1);
    let mut left = wait;
    while !left.is_zero() {
        let rounded = Duration::from_secs(left.as_secs());
        waiting.set_message(format!(
            "next attempt in {}",
            humantime::format_duration(rounded)
        ));
        let step = left.min(STEP);
        tokio::time::sleep(step).await;
        left -= step;
    }
    waiting.set_message("delivering again");
}
