//! The real program as processes of its own: to be stopped, woken and killed.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use jarvis_cron::outbound;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::app::{App, Delivery, Reply};

/// What takes longer than this will not come any more.
const PATIENCE: Duration = Duration::from_mins(5);
/// A process that was told to stop is gone by then.
const LAST_WORD: Duration = Duration::from_secs(10);

/// `serve` in a process of its own; dropped, it is killed, even a stopped one.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: Address,
}

/// Where a process listens.
#[derive(Clone)]
pub(crate) struct Address {
    url: String,
    http: reqwest::Client,
}

/// An answer that is still to come.
pub(crate) type Awaited = JoinHandle<reqwest::Result<Reply>>;

impl Process {
    /// Starts one with the settings of `app` and nothing else, and waits
    /// until it is ready. What it logs is shown when the test fails.
    pub(crate) async fn serve(app: &App) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jarvis-cron"))
            .arg("serve")
            .env_clear()
            .envs(&app.settings)
            .envs([("HOST", "127.0.0.1"), ("PORT", "0")])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = format!("http://{}", listening_at(&mut log).await);
        let process = child.id().unwrap();
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                eprintln!("[{process}] {line}");
            }
        });
        let http = outbound::client(2 * PATIENCE).unwrap();
        let address = Address { url, http };
        until("the process is ready", async || address.is_ready().await).await;
        Self { child, address }
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) async fn signal(&self, name: &str) {
        let process = self.child.id().unwrap().to_string();
        let sent = Command::new("sh")
            .args(["-c", r#"kill -s "$0" "$1""#, name, &process])
            .status()
            .await
            .unwrap();
        assert!(sent.success(), "no {name} could be sent to {process}");
    }

    /// Kills it, as a crash would, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.signal("KILL").await;
        self.child.wait().await.unwrap();
    }

    /// Tells it to stop; it must be gone in time.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        self.signal("TERM").await;
        timeout(LAST_WORD, self.child.wait())
            .await
            .expect("the process outlived its grace")
            .unwrap()
    }

    /// Delivers once, in the background.
    pub(crate) fn delivering(&self, delivery: &Delivery) -> Awaited {
        let (address, delivery) = (self.address.clone(), delivery.clone());
        tokio::spawn(async move { address.deliver(&delivery).await })
    }

    /// Delivers until it is taken, in the background.
    pub(crate) fn redelivering(&self, delivery: &Delivery) -> Awaited {
        let (address, delivery) = (self.address.clone(), delivery.clone());
        tokio::spawn(async move { address.redeliver(&delivery).await })
    }
}

impl Address {
    /// Delivers once, as QStash does.
    pub(crate) async fn deliver(&self, delivery: &Delivery) -> reqwest::Result<Reply> {
        let mut request = self
            .http
            .post(format!("{}{}", self.url, delivery.path))
            .header("upstash-message-id", &delivery.message_id)
            .header("upstash-signature", delivery.sign())
            .body(delivery.body.clone());
        for (name, value) in &delivery.headers {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Reply {
            status,
            headers,
            body,
            text,
        })
    }

    /// Delivers the same message again for as long as it is asked to come
    /// back later; more impatient than QStash.
    pub(crate) async fn redeliver(&self, delivery: &Delivery) -> reqwest::Result<Reply> {
        let taken = async {
            loop {
                let reply = self.deliver(delivery).await?;
                if !matches!(reply.status.as_u16(), 409 | 503) {
                    return Ok(reply);
                }
                assert!(reply.headers.contains_key("retry-after"), "{reply:?}");
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, taken)
            .await
            .expect("the delivery was never taken")
    }

    /// Where it listens, such as `http://127.0.0.1:40123`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/health/ready", self.url));
        answer.send().await.is_ok_and(|it| it.status().is_success())
    }
}

/// Waits until `done`, which is asked again and again.
pub(crate) async fn until(what: &str, done: impl AsyncFn() -> bool) {
    let waited = async {
        while !done().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waited)
        .await
        .unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

/// The port is the system's choice, and the log tells it.
async fn listening_at(log: &mut Lines<BufReader<ChildStderr>>) -> String {
    let mut said = Vec::new();
    while let Some(line) = log.next_line().await.unwrap() {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if event["message"] == "Started listening" {
            return event["address"].as_str().unwrap().to_owned();
        }
        said.push(line);
    }
    panic!("the process did not come up: {said:#?}");
}
