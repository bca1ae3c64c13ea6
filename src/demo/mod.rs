//! The demo: the same service, with everything that it needs.
//!
//! A private Postgres, doubles of Stripe, Resend and QStash, and sample data;
//! the server on loopback, and every job delivered once as QStash would. The
//! tests use the same Postgres and the same doubles. Not in the deployed image
//! (feature `demo`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;

use crate::cli::call::{Delivery, new_message_id};
use crate::cli::{self, migrate, progress, serve};
use crate::config::Settings;
use crate::{http, jobs, telemetry};

mod double;
pub mod postgres;
pub mod qstash_double;
mod report;
pub mod resend_double;
mod sample;
pub mod stripe_double;

use postgres::{Auth, PrivatePostgres, Programs};
use qstash_double::{Courier, QstashDouble};
use resend_double::ResendDouble;
use stripe_double::StripeDouble;

/// Where the demo keeps its files.
const HOME: &str = ".demo";

/// The options of the demo.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Exit after every job has run once; non-zero when one failed.
    #[arg(long)]
    once: bool,
    /// The port to serve on.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Multiply the sample data.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    scale: u32,
}

/// Runs the demo until Ctrl-C, or once.
///
/// # Errors
/// When PostgreSQL is not found, the port is taken, or a part will not start.
pub async fn demo(settings: &Settings, arguments: Arguments) -> anyhow::Result<ExitCode> {
    telemetry::init(settings.logs_for_people()?);
    let exit = tokio::select! {
        exit = run(settings, arguments) => exit,
        () = serve::stop_signal() => Ok(ExitCode::SUCCESS),
    };
    // Its secrets are no longer valid.
    let _ = std::fs::remove_file(env_file());
    exit
}

async fn run(settings: &Settings, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { once, port, scale } = arguments;
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| {
            format!("listen on port {port}; is it taken? choose another with --port")
        })?;
    let port = listener.local_addr()?.port();

    let spinner = progress::waiting("starting a private Postgres");
    let programs = Programs::find(settings)?;
    let postgres = PrivatePostgres::start(&programs, Path::new(HOME), Auth::Password).await?;
    spinner.set_message("applying migrations");
    let schema = settings.schema()?;
    // So that psql finds the tables too.
    let database = format!(
        "{}?options=-csearch_path%3D{}",
        postgres.url("postgres"),
        schema.name()
    );
    migrate::apply(database.parse()?, &schema).await?;
    spinner.set_message("making sample data");
    let stripe = StripeDouble::start().await?;
    stripe.add_all(sample::load(&database, scale).await?);
    let resend = ResendDouble::start().await?;
    let qstash = QstashDouble::start().await?;
    spinner.finish_and_clear();

    let mut settings = demo_settings(port, &database, &stripe.url(), &resend.url(), &qstash.url());
    settings.push(("DATABASE_SCHEMA", schema.name().to_owned()));
    write_env(&settings)?;
    let settings = Settings::none().with(settings);
    let runner = serve::runner(&settings)?;
    let (stop, tasks) = (runner.stop.clone(), runner.tasks.clone());
    let router = http::router(runner, settings.guard(false)?);
    let server = tokio::spawn(http::edge::serve(listener, router, stop.clone(), tasks));
    start_deliveries(&qstash, &settings)?;
    let is_success = run_every_job(&settings, port).await?;
    report::reports(&settings, &database).await?;
    if !once {
        report::print_next_steps(port);
        std::future::pending::<()>().await;
    }
    stop.cancel();
    server.await?;
    Ok(cli::exit_code(is_success))
}

/// Lets the QStash double sign with the demo's keys, and deliver.
fn start_deliveries(qstash: &QstashDouble, settings: &Settings) -> anyhow::Result<()> {
    let ring = settings.key_ring(false)?;
    let keys = ring.for_region(None);
    qstash.set_keys(keys.current.expose_secret(), keys.next.expose_secret());
    qstash.deliver(Courier {
        signing_key: keys.current.clone(),
        public_url: settings.destination(false)?.public_url,
        replicas: Vec::new(),
        hurry: 10,
        parallelism: 4,
    })
}

/// The settings of the demo, with new secrets.
fn demo_settings(
    port: u16,
    database: &str,
    stripe: &str,
    resend: &str,
    qstash: &str,
) -> Vec<(&'static str, String)> {
    vec![
        ("DATABASE_URL", database.to_owned()),
        ("PUBLIC_URL", format!("http://127.0.0.1:{port}")),
        ("CRON_SECRET", secret()),
        ("OPERATOR_SECRET", secret()),
        ("LINK_SECRET", secret()),
        ("QSTASH_CURRENT_SIGNING_KEY", format!("sig_{}", secret())),
        ("QSTASH_NEXT_SIGNING_KEY", format!("sig_{}", secret())),
        ("QSTASH_TOKEN", qstash_double::TOKEN.to_owned()),
        ("QSTASH_URL", qstash.to_owned()),
        ("STRIPE_SECRET_KEY", format!("sk_test_{}", secret())),
        ("STRIPE_API_BASE", stripe.to_owned()),
        // The limit of 10 is for the real Stripe.
        ("STRIPE_MAX_RPS", "500".to_owned()),
        ("RESEND_API_KEY", format!("re_{}", secret())),
        ("RESEND_API_BASE", resend.to_owned()),
        ("RESEND_MAX_RPS", "100".to_owned()),
        (
            "REPORT_FROM",
            "JARVIS <reports@jarvis.example.com>".to_owned(),
        ),
    ]
}

fn secret() -> String {
    let half = || uuid::Uuid::new_v4().simple();
    format!("{}{}", half(), half())
}

/// Writes the settings where a shell can source them.
fn write_env(settings: &[(&'static str, String)]) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = env_file();
    let mut lines = String::new();
    for (name, value) in settings {
        writeln!(lines, "export {name}='{value}'")?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    std::io::Write::write_all(&mut options.open(&path)?, lines.as_bytes())
        .with_context(|| format!("write {}", path.display()))
}

fn env_file() -> PathBuf {
    Path::new(HOME).join("env")
}

/// Delivers every job once and prints a table; returns whether all succeeded.
async fn run_every_job(settings: &Settings, port: u16) -> anyhow::Result<bool> {
    let url = format!("http://127.0.0.1:{port}");
    let mut answers = Vec::new();
    for job in jobs::ALL.iter() {
        let delivery = Delivery {
            job,
            url: url.clone(),
            public_url: url.clone(),
            body: "{}".to_owned(),
            message_id: new_message_id(),
            cron_secret: settings.cron_secret(false)?,
            signing_key: settings.key_ring(false)?.current().clone(),
        };
        let spinner = progress::waiting(job.name);
        let answer = tokio::time::timeout(Duration::from_mins(2), delivery.attempt(0)).await??;
        spinner.finish_and_clear();
        answers.push((job.name, answer));
    }
    Ok(report::runs(&answers))
}
