//! Schedules as code: the file, and QStash made to agree with it.

use chrono::{DateTime, Utc};
use jarvis_cron::demo::qstash_double::{Fault, QstashDouble, TOKEN};
use jarvis_cron::outbound;
use jarvis_cron::qstash::schedules::Schedules;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

use crate::app::{CRON_SECRET, PUBLIC_URL};
use crate::cli::{Done, Settings, run};

mod apply;
mod clock_changes;
mod differences;
mod double;
mod failures;
mod file;
mod lenient;
mod pause;
mod plan;
mod properties;
mod round_trip;
mod wire;

const CHURN: &str = "jarvis-daily-churn";
const REPORTS: &str = "jarvis-weekly-reports";
const ORDERS: &str = "jarvis-expire-stale-orders";

/// A QStash, and the settings of the command line.
struct Qstash {
    double: QstashDouble,
    settings: Settings,
}

impl Qstash {
    async fn new() -> Self {
        let double = QstashDouble::start().await.unwrap();
        let settings = [
            ("QSTASH_TOKEN", TOKEN.to_owned()),
            ("QSTASH_URL", double.url()),
            ("PUBLIC_URL", PUBLIC_URL.to_owned()),
            ("CRON_SECRET", CRON_SECRET.to_owned()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        Self {
            double,
            settings: Settings::from(settings),
        }
    }

    /// With the file's schedules made.
    async fn applied() -> Self {
        let qstash = Self::new().await;
        let done = qstash.run(&["apply"]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        qstash
    }

    async fn run(&self, arguments: &[&str]) -> Done {
        run(&self.settings, &[&["schedules"], arguments].concat()).await
    }

    /// With a setting replaced.
    async fn run_with(&self, name: &str, value: &str, arguments: &[&str]) -> Done {
        let mut settings = self.settings.clone();
        settings.insert(name.to_owned(), value.to_owned());
        run(&settings, &[&["schedules"], arguments].concat()).await
    }

    /// One schedule of the plan.
    async fn planned(&self, id: &str) -> Value {
        let plan = self.run(&["plan", "--json"]).await.json();
        let mut schedules = plan["schedules"].as_array().unwrap().iter();
        schedules.find(|one| one["id"] == id).unwrap().clone()
    }

    /// What the plan would do, by id, sorted.
    async fn actions(&self) -> Vec<(String, String)> {
        let plan = self.run(&["plan", "--json"]).await.json();
        let schedules = plan["schedules"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut actions: Vec<_> = schedules
            .map(|one| (text(&one["id"]), text(&one["action"])))
            .collect();
        actions.sort();
        actions
    }

    /// A call to the API by another program.
    async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> u16 {
        let client = outbound::client(std::time::Duration::from_secs(5)).unwrap();
        let url = format!("{}/v2/schedules/{path}", self.double.url());
        let mut request = client.request(method, url).bearer_auth(TOKEN);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_owned());
        request.send().await.unwrap().status().as_u16()
    }

    /// A schedule made by hand.
    async fn made_by_hand(&self, id: &str, destination: &str, cron: &str) {
        let headers = [("Upstash-Schedule-Id", id), ("Upstash-Cron", cron)];
        let status = self.call(Method::POST, destination, &headers, "").await;
        assert_eq!(status, 200);
    }

    /// The same, calling a job with our whole set of headers, some replaced;
    /// an empty value leaves one out.
    async fn drifted(&self, id: &str, job: &str, changes: &[(&str, &str)], body: &str) {
        let made =
            self.double.calls().into_iter().rev().find(|call| {
                call.method == "POST" && call.header("upstash-schedule-id") == Some(id)
            });
        let made = made.expect("it was applied before");
        let names = made.headers.keys().map(reqwest::header::HeaderName::as_str);
        let kept = names.filter(|name| name.starts_with("upstash-") || *name == "content-type");
        let kept = kept.filter(|name| changes.iter().all(|(changed, _)| changed != name));
        let mut headers: Vec<(&str, &str)> = kept
            .map(|name| (name, made.header(name).unwrap()))
            .collect();
        headers.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        let destination = format!("{PUBLIC_URL}/api/cron/{job}");
        let status = self.call(Method::POST, &destination, &headers, body).await;
        assert_eq!(status, 200);
    }

    /// The calls that change something, since `from`.
    fn writes(&self, from: usize) -> Vec<String> {
        let calls = self.double.calls().into_iter().skip(from);
        calls
            .filter(|call| call.method != "GET")
            .map(|call| format!("{} {}", call.method, call.path))
            .collect()
    }

    fn is_paused(&self, id: &str) -> bool {
        self.double.schedule(id).unwrap()["isPaused"] == true
    }
}

fn moment(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The deployed file, changed.
fn file(change: impl FnOnce(&mut Value)) -> String {
    let mut file: Value = serde_json::from_str(Schedules::deployed_text()).unwrap();
    change(&mut file);
    file.to_string()
}

/// A file on disk, gone with the value.
struct Written(std::path::PathBuf);

impl Written {
    fn new(text: &str) -> Self {
        let name = format!("schedules-{}.json", uuid::Uuid::now_v7().simple());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
