//! One private Postgres with its durability on, the service in front of it,
//! and psql beside it.

use std::time::{Duration, Instant};

use jarvis_cron::cli::call::{Delivery, new_message_id};
use jarvis_cron::cli::{migrate, serve};
use jarvis_cron::config::Settings;
use jarvis_cron::database::Schema;
use jarvis_cron::demo::postgres::{PrivatePostgres, Programs};
use jarvis_cron::{http, jobs};
use serde_json::Value;

use crate::side_by_side::{durable_postgres, psql};

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
        let (programs, postgres) = durable_postgres().await;
        let database = postgres.url("postgres");
        migrate::apply(database.parse().unwrap(), &Schema::default())
            .await
            .unwrap();
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
        tokio::spawn(http::edge::serve(listener, router, stop, tasks));
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
            job: jobs::ALL.find(job).unwrap(),
            url: self.url.clone(),
            public_url: self.url.clone(),
            body: body.to_owned(),
            message_id: new_message_id(),
            cron_secret: self.settings.cron_secret(false).unwrap(),
            signing_key: self.settings.key_ring(false).unwrap().current().clone(),
        };
        let begin = Instant::now();
        let answer = delivery.attempt(0).await.unwrap();
        let time = begin.elapsed();
        assert_eq!(answer.body["status"], "succeeded", "{}", answer.body);
        (time, answer.body["results"].clone())
    }

    /// Runs one statement in psql; the time psql itself prints, without its
    /// start.
    pub(crate) fn psql(&self, sql: &str) -> Duration {
        psql(&self.programs, &self.database, sql)
    }
}
