//! Messages: the service uses the QStash double, and the double delivers to the service.

use axum::http::Method;
use jarvis_cron::demo::qstash_double::{Courier, Fate, Message, QstashDouble, TOKEN};
use jarvis_cron::http;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::app::{App, CURRENT_KEY, Delivery, OPERATOR_SECRET, PUBLIC_URL, Reply};

use crate::processes::until;

mod double;

/// A service with a token, and the double that knows it.
pub(crate) struct Connected {
    pub(crate) app: App,
    pub(crate) qstash: QstashDouble,
}

impl Connected {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// With these settings added or replaced.
    pub(crate) async fn with(changes: &[(&str, &str)]) -> Self {
        let qstash = QstashDouble::start().await.unwrap();
        let url = qstash.url();
        let mut settings = vec![("QSTASH_TOKEN", TOKEN), ("QSTASH_URL", url.as_str())];
        settings.extend(changes);
        let app = App::with(&settings).await;
        Self { app, qstash }
    }

    /// Lets the double deliver to the service in this process.
    pub(crate) async fn deliver_here(&self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let runner = &self.app.runner;
        let (stop, tasks) = (runner.stop.clone(), runner.tasks.clone());
        tokio::spawn(http::edge::serve(
            listener,
            self.app.router.clone(),
            stop,
            tasks,
        ));
        self.deliver_to(&[&url]);
    }

    /// Lets the double deliver to these replicas by turns, in a hurry.
    pub(crate) fn deliver_to(&self, replicas: &[&str]) {
        let courier = Courier {
            signing_key: CURRENT_KEY.to_owned().into(),
            public_url: PUBLIC_URL.to_owned(),
            replicas: replicas.iter().map(|url| (*url).to_owned()).collect(),
            hurry: 100,
            parallelism: 16,
        };
        self.qstash.deliver(courier).unwrap();
    }

    /// Waits until every message has come to an end.
    pub(crate) async fn until_all_is_delivered(&self) {
        until("every message has come to an end", async || {
            let messages = self.qstash.messages();
            messages.iter().all(|message| message.fate != Fate::Waiting)
        })
        .await;
    }

    /// Delivers a message by hand.
    pub(crate) async fn hand_over(&self, message: &Message) -> Reply {
        of(message).to(&self.app).await
    }

    /// Delivers by hand for as long as a run is continued; all answers.
    pub(crate) async fn follow(&self, first: Reply) -> Vec<Reply> {
        let mut replies = vec![first];
        while replies.last().unwrap().body["continued"] == true {
            let message = self.qstash.messages().pop().unwrap();
            replies.push(self.hand_over(&message).await);
            assert!(replies.len() < 60, "the chain does not end: {replies:#?}");
        }
        replies
    }

    /// The run of an answer, as operators read it.
    pub(crate) async fn run_of(&self, reply: &Reply) -> Value {
        self.run(reply.body["run_id"].as_str().unwrap()).await
    }

    pub(crate) async fn run(&self, id: &str) -> Value {
        let headers = [("authorization", format!("Bearer {OPERATOR_SECRET}"))];
        let path = format!("/api/runs/{id}");
        self.app.call(Method::GET, &path, &headers, "").await.body
    }
}

/// The delivery of a message.
pub(crate) fn of(message: &Message) -> Delivery {
    let job = message.destination.rsplit('/').next().unwrap();
    Delivery::of(job).message(&message.id).body(&message.body)
}
