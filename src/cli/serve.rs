//! `serve`: puts the parts together and answers until it is stopped.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::doctor::is_stripe_called;
use super::jobs_in_use;
use crate::config::{Guard, Settings};
use crate::engine::{Publisher, Runner};
use crate::http;
use crate::http::edge::Limits;
use crate::resend::Resend;
use crate::stripe::Stripe;

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// When a setting is wrong or the address is taken.
pub async fn serve(settings: &Settings, dev: bool) -> anyhow::Result<ExitCode> {
    let guard = settings.guard(dev)?;
    let address = settings.address(dev)?;
    let runner = runner(settings)?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}"))?;
    warn_of_settings(settings, &guard, dev);
    tracing::info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "Started listening");
    cancel_on_signal(&runner.stop);
    let (stop, tasks) = (runner.stop.clone(), runner.tasks.clone());
    let limits = Limits::beside(settings.database()?.max_connections);
    let router = http::router(runner, guard);
    http::edge::serve_within(limits, listener, router, stop, tasks).await;
    tracing::info!("Stopped");
    Ok(ExitCode::SUCCESS)
}

/// What runs jobs, built from the settings; connects at its first use.
///
/// # Errors
/// When a setting is wrong.
pub fn runner(settings: &Settings) -> anyhow::Result<Runner> {
    let publisher = match settings.qstash()? {
        // The guard checks the strength of the secret.
        Some(qstash) => Some(Publisher::new(qstash, settings.destination(true)?)?),
        None => None,
    };
    Ok(Runner {
        publisher,
        ..local_runner(settings)?
    })
}

/// The same for a run at the command line, which publishes nothing: the
/// operator sees that work is left, and may have stopped it.
///
/// # Errors
/// When a setting is wrong.
pub fn local_runner(settings: &Settings) -> anyhow::Result<Runner> {
    let database = settings.database()?;
    settings.hide_secrets();
    Ok(Runner {
        jobs: jobs_in_use(settings)?,
        dry_runs: Arc::new(Semaphore::new(database.max_connections as usize - 1)),
        db: database.pool(),
        stripe: Stripe::new(settings.stripe()?)?,
        resend: Resend::new(settings.resend()?)?,
        links: settings.links()?,
        publisher: None,
        settings: settings.runs()?,
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    })
}

/// Logs what a reader of the settings might overlook.
fn warn_of_settings(settings: &Settings, guard: &Guard, dev: bool) {
    if dev {
        tracing::warn!("Accepting weak secrets, on this machine only: --dev");
    }
    if guard.verification.is_none() {
        tracing::warn!(
            "Skipping the check of signatures: QSTASH_VERIFY=off, CRON_SECRET alone opens every job"
        );
    }
    if guard.operator_secret.is_none() {
        tracing::info!("Started without an operator path: OPERATOR_SECRET is not set");
    }
    if settings.qstash().is_ok_and(|qstash| qstash.is_none()) {
        tracing::info!("Started without QSTASH_TOKEN: a run out of budget waits for the next tick");
    }
    let has_no_key = settings.stripe().is_ok_and(|stripe| stripe.key.is_none());
    if has_no_key && is_stripe_called(settings) {
        tracing::warn!(
            "Started without STRIPE_SECRET_KEY: orders with payment intents will not expire"
        );
    }
}

/// Cancels `stop` on SIGTERM or Ctrl-C.
pub(super) fn cancel_on_signal(stop: &CancellationToken) {
    let stop = stop.clone();
    tokio::spawn(async move {
        stop_signal().await;
        tracing::info!("Stopping after the batch in flight");
        stop.cancel();
    });
}

/// Waits for SIGTERM or Ctrl-C.
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without a handler the signal ends the process at once.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
