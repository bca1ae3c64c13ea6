//! `serve`: puts the parts together and answers until told to stop.

use std::process::ExitCode;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Guard, Settings};
use crate::engine::{Publisher, Runner};
use crate::resend::Resend;
use crate::stripe::Stripe;
use crate::{http, jobs};

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
    announce(settings, &guard, dev);
    tracing::info!(address = %listener.local_addr()?, version = env!("CARGO_PKG_VERSION"), "listening");
    let stop = runner.stop.clone();
    tokio::spawn(async move {
        told_to_stop().await;
        tracing::info!("stopping: the batch in flight ends, then the process");
        stop.cancel();
    });
    let (stop, tasks) = (runner.stop.clone(), runner.tasks.clone());
    http::edge::serve(listener, http::router(runner, guard), stop, tasks).await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// What runs jobs, built from the settings; connects at its first use.
///
/// # Errors
/// When a setting is wrong.
pub fn runner(settings: &Settings) -> anyhow::Result<Runner> {
    let publisher = match settings.qstash()? {
        // How strong the secret must be, the guard says.
        Some(qstash) => Some(Publisher::new(qstash, settings.destination(true)?)?),
        None => None,
    };
    Ok(Runner {
        publisher,
        ..runner_by_hand(settings)?
    })
}

/// The same for a run at the command line, which publishes nothing: whoever
/// is there sees that work is left, and may have stopped it.
///
/// # Errors
/// When a setting is wrong.
pub fn runner_by_hand(settings: &Settings) -> anyhow::Result<Runner> {
    Ok(Runner {
        jobs: jobs::ALL,
        db: settings.database()?.pool(),
        stripe: Stripe::new(settings.stripe()?)?,
        resend: Resend::new(settings.resend()?)?,
        links: settings.links()?,
        publisher: None,
        settings: settings.runs()?,
        stop: CancellationToken::new(),
        tasks: TaskTracker::new(),
    })
}

/// Says aloud what a reader of the settings might overlook.
fn announce(settings: &Settings, guard: &Guard, dev: bool) {
    if dev {
        tracing::warn!("--dev: weak secrets are accepted, on this machine only");
    }
    if guard.verification.is_none() {
        tracing::warn!(
            "QSTASH_VERIFY=off: signatures are not checked, CRON_SECRET alone opens every job"
        );
    }
    if guard.operator_secret.is_none() {
        tracing::info!("OPERATOR_SECRET is not set: there is no operator path");
    }
    if settings.qstash().is_ok_and(|qstash| qstash.is_none()) {
        tracing::info!("QSTASH_TOKEN is not set: a run out of budget waits for the next tick");
    }
    if settings.stripe().is_ok_and(|stripe| stripe.key.is_none()) {
        tracing::warn!("STRIPE_SECRET_KEY is not set: orders with payment intents will not expire");
    }
}

/// Waits for SIGTERM or Ctrl-C.
pub async fn told_to_stop() {
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
