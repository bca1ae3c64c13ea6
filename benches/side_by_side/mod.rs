//! What the benchmarks share: one private Postgres with its durability on, the
//! service in front of it, and psql beside it.

use std::path::Path;
use std::time::{Duration, Instant};

use jarvis_cron::cli::call::{Delivery, new_message_id};
use jarvis_cron::cli::{migrate, serve};
use jarvis_cron::config::Settings;
use jarvis_cron::demo::postgres::{Auth, PrivatePostgres, Programs};
use jarvis_cron::{http, jobs};
use serde_json::Value;

/// The database, and the two ways to it.
pub(crate) struct Side {
    pub(crate) database: String,
    programs: Programs,
    url: String,
    settings: Settings,
    _postgres: PrivatePostgres,
}

impl Side {
    pub(crate) async fn start() -> Self {
        let programs = Programs::find(&Settings::from_env()).unwrap();
        let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let postgres = PrivatePostgres::start(&programs, home, Auth::Password)
            .await
            .unwrap();
        let database = postgres.url("postgres");
        migrate::apply(database.parse().unwrap()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let settings = Settings::none().with([
            ("DATABASE_URL", database.as_str()),
            ("PUBLIC_URL", &url),
            ("CRON_SECRET", "bench-5f1d8a3e9b7c4d2f6a0e8b1c3d5f7a9b"),
            ("QSTASH_CURRENT_SIGNING_KEY", "sig_bench_current"),
            ("QSTASH_NEXT_SIGNING_KEY", "sig_bench_next"),
        ]);
        let runner = serve::runner(&settings).unwrap();
        let (stop, tasks) = (runner.stop.clone(), runner.tasks.clone());
        let router = http::router(runner, settings.guard(false).unwrap());
        tokio::spawn(http::serve::serve(listener, router, stop, tasks));
        Self {
            database,
            programs,
            url,
            settings,
            _postgres: postgres,
        }
    }

    /// Delivers a job over HTTP as QStash would; the time until its answer,
    /// and its results.
    pub(crate) async fn deliver(&self, job: &str, body: &str) -> (Duration, Value) {
        let delivery = Delivery {
            job: jobs::find(job).unwrap(),
            url: self.url.clone(),
            public_url: self.url.clone(),
            body: body.to_owned(),
            message_id: new_message_id(),
            cron_secret: self.settings.cron_secret(false).unwrap(),
            signing_key: self.settings.key_ring(false).unwrap().current().clone(),
        };
        let begin = Instant::now();
        let answer = delivery.post().await.unwrap();
        let time = begin.elapsed();
        assert_eq!(answer.body["status"], "succeeded", "{}", answer.body);
        (time, answer.body["results"].clone())
    }

    /// Runs one statement in psql; the time psql itself prints, without its
    /// start.
    pub(crate) fn psql(&self, sql: &str) -> Duration {
        let output = std::process::Command::new(self.programs.program("psql"))
            .args(["-X", "-d", &self.database, "-c", "\\timing on", "-c", sql])
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let line = printed.lines().rev().find(|line| line.starts_with("Time:"));
        let line = line.unwrap_or_else(|| {
            unreachable!("{printed}{}", String::from_utf8_lossy(&output.stderr))
        });
        let milliseconds: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        Duration::from_secs_f64(milliseconds / 1e3)
    }
}

pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
