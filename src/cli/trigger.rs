//! `trigger`: a delivery to a running service, tried as often as QStash would.
//!
//! Every attempt carries the same message id and a token of its own, so the
//! service may tell a redelivery from a new message, as it does for QStash.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use reqwest::header::HeaderValue;

use super::call::{Answered, Delivery, new_message_id};
use super::options::OptionArgs;
use super::{Usage, progress, say, serve};
use crate::config::Settings;
use crate::qstash::retry;

/// What is delivered, where to, and how patiently.
#[derive(Debug, Args)]
pub(super) struct Trigger {
    /// Which job, such as expire-stale-orders; a wrong name lists them all.
    job: String,
    /// Where the service listens; PUBLIC_URL if not given.
    #[arg(long)]
    url: Option<String>,
    /// What the service calls itself, when that is not where it listens;
    /// the token is signed for this.
    #[arg(long)]
    public_url: Option<String>,
    /// The message id; the same id twice is a redelivery. Made up if not given.
    #[arg(long)]
    message_id: Option<String>,
    /// Deliveries after the first one has failed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    retries: u32,
    /// Wait that long before each retry, such as 2s, instead of as long as
    /// QStash would.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    retry_delay: Option<Duration>,
    #[command(flatten)]
    options: OptionArgs,
}

/// Delivers until it is taken or given up, and prints the last answer.
///
/// # Errors
/// When a setting is wrong, or nobody answered in the end.
pub(super) async fn trigger(settings: &Settings, typed: Trigger) -> anyhow::Result<ExitCode> {
    let delivery = delivery(settings, &typed)?;
    let waiting = progress::waiting(&format!("{} at {}", delivery.job.name, delivery.url));
    let done = tokio::select! {
        done = deliver(&delivery, &typed, &waiting) => Some(done),
        () = serve::told_to_stop() => None,
    };
    waiting.finish_and_clear();
    let Some(done) = done else {
        eprintln!(
            "stopped; to go on with the same message: --message-id {}",
            delivery.message_id
        );
        return Ok(ExitCode::FAILURE);
    };
    let answer = done?;
    say(format_args!("{:#}", answer.body));
    Ok(if answer.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn delivery(settings: &Settings, typed: &Trigger) -> anyhow::Result<Delivery> {
    let (job, options) = typed.options.read(&typed.job)?;
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
        return Err(Usage("a message id is one line of plain text".to_owned()).into());
    }
    Ok(delivery)
}

/// Attempt after attempt, until one is taken, none is left, or none can help.
async fn deliver(
    delivery: &Delivery,
    typed: &Trigger,
    waiting: &ProgressBar,
) -> anyhow::Result<Answered> {
    for retried in 0.. {
        let attempt = delivery.attempt(retried).await;
        let wait = wait(&attempt, retried, typed);
        waiting.suspend(|| tell(&attempt, delivery, retried, typed, wait));
        match wait {
            None => return attempt,
            Some(wait) => sleep(wait, waiting).await,
        }
    }
    anyhow::bail!("no attempt was made")
}

/// How long to wait before the next attempt; `None` when there is none.
fn wait(attempt: &anyhow::Result<Answered>, retried: u32, typed: &Trigger) -> Option<Duration> {
    let asked = match attempt {
        Ok(answer) if answer.is_success() => return None,
        Ok(answer) if retry::is_over(answer.status, &answer.headers) => return None,
        Ok(answer) => retry::asked(&answer.headers, now()),
        Err(_) => None,
    };
    let as_qstash = || asked.unwrap_or_else(|| retry::backoff(retried + 1));
    (retried < typed.retries).then(|| typed.retry_delay.unwrap_or_else(as_qstash))
}

/// One line for each attempt.
fn tell(
    attempt: &anyhow::Result<Answered>,
    delivery: &Delivery,
    retried: u32,
    typed: &Trigger,
    wait: Option<Duration>,
) {
    let answer = match attempt {
        Ok(answer) => answer.status.to_string(),
        Err(error) => format!("no answer ({error:#})"),
    };
    let then = match (wait, attempt) {
        (Some(wait), _) => format!("; again in {}", humantime::format_duration(wait)),
        (None, Ok(answer)) if answer.is_success() => String::new(),
        (None, Ok(answer)) if retry::is_over(answer.status, &answer.headers) => {
            "; no retry can mend it".to_owned()
        }
        (None, _) => "; given up".to_owned(),
    };
    let (number, most, id) = (retried + 1, typed.retries + 1, &delivery.message_id);
    eprintln!("attempt {number} of {most}: {answer} {id}{then}");
}

/// Waits, and shows on a terminal how long still.
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

#[expect(
    clippy::disallowed_methods,
    reason = "QStash's part is played here, clock and all"
)]
fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}
