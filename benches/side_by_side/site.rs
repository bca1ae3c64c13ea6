//! The service in processes of its own, with doubles of Stripe and QStash.

use std::time::{Duration, Instant};

use jarvis_cron::cli::call::{Delivery, new_message_id};
use jarvis_cron::demo::qstash_double::{Courier, Fate, QstashDouble, TOKEN};
use jarvis_cron::demo::stripe_double::{Intent, StripeDouble};
use jarvis_cron::jobs;
use sqlx::{Executor, PgConnection};
use tokio::process::{Child, Command};

const PUBLIC_URL: &str = "https://cron.bench.test";
const CRON_SECRET: &str = "bench-5f1d8a3e9b7c4d2f6a0e8b1c3d5f7a9b";
const KEY: &str = "sig_bench_current";

/// The service in processes of its own, and both doubles.
pub(crate) struct Site {
    pub(crate) stripe: StripeDouble,
    qstash: QstashDouble,
    replicas: Vec<String>,
    _processes: Vec<Child>,
}

impl Site {
    pub(crate) async fn start(database: &str, processes: usize, settings: &[(&str, &str)]) -> Self {
        let stripe = StripeDouble::start().await.unwrap();
        let qstash = QstashDouble::start().await.unwrap();
        let mut replicas = Vec::new();
        let mut children = Vec::new();
        for _ in 0..processes {
            let port = free_port().await;
            let child = Command::new(env!("CARGO_BIN_EXE_jarvis-cron"))
                .arg("serve")
                .env_clear()
                .envs([
                    ("DATABASE_URL", database),
                    ("PUBLIC_URL", PUBLIC_URL),
                    ("CRON_SECRET", CRON_SECRET),
                    ("QSTASH_CURRENT_SIGNING_KEY", KEY),
                    ("QSTASH_NEXT_SIGNING_KEY", "sig_bench_next"),
                    ("QSTASH_TOKEN", TOKEN),
                    ("QSTASH_URL", &qstash.url()),
                    ("STRIPE_SECRET_KEY", "sk_test_bench"),
                    ("STRIPE_API_BASE", &stripe.url()),
                    ("HOST", "127.0.0.1"),
                    ("PORT", &port),
                    ("RUST_LOG", "error"),
                ])
                .envs(settings.iter().copied())
                .kill_on_drop(true)
                .spawn();
            children.push(child.unwrap());
            let url = format!("http://127.0.0.1:{port}");
            until_it_listens(&port).await;
            replicas.push(url);
        }
        let courier = Courier {
            signing_key: KEY.to_owned().into(),
            public_url: PUBLIC_URL.to_owned(),
            replicas: replicas.clone(),
            hurry: 100,
            parallelism: 16,
        };
        qstash.deliver(courier).unwrap();
        Self {
            stripe,
            qstash,
            replicas,
            _processes: children,
        }
    }

    /// Delivers once, and waits for the end of all that follows from it.
    pub(crate) async fn deliver(&self, job: &str, body: &str) -> Duration {
        let delivery = Delivery {
            job: jobs::ALL.find(job).unwrap(),
            url: self.replicas[0].clone(),
            public_url: PUBLIC_URL.to_owned(),
            body: body.to_owned(),
            message_id: new_message_id(),
            cron_secret: CRON_SECRET.to_owned().into(),
            signing_key: KEY.to_owned().into(),
        };
        let begin = Instant::now();
        let answer = delivery.attempt(0).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        while self.is_busy() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begin.elapsed()
    }

    fn is_busy(&self) -> bool {
        let messages = self.qstash.messages();
        messages.iter().any(|message| message.fate == Fate::Waiting)
    }

    /// Messages that were published, and deliveries that were made.
    pub(crate) fn messages(&self) -> String {
        let messages = self.qstash.messages();
        let attempts: usize = messages.iter().map(|message| message.attempts.len()).sum();
        format!("{}, {attempts}", messages.len())
    }

    /// An open intent for every order, here and at Stripe.
    pub(crate) async fn open_intents(&self, db: &mut PgConnection) {
        let ids: Vec<String> = sqlx::query_scalar(
            "insert into payment_intents (order_id, stripe_payment_intent_id, status, amount)
             select id, 'pi_' || replace(id::text, '-', ''), 'requires_payment_method', 1000
               from orders
             returning stripe_payment_intent_id",
        )
        .fetch_all(&mut *db)
        .await
        .unwrap();
        let open = ids
            .iter()
            .map(|id| Intent::new(id, "requires_payment_method"));
        self.stripe.add_all(open);
        db.execute("vacuum analyze payment_intents").await.unwrap();
    }
}

async fn free_port() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port().to_string()
}

async fn until_it_listens(port: &str) {
    let address = format!("127.0.0.1:{port}");
    while tokio::net::TcpStream::connect(&address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
