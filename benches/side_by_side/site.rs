//! The service in processes of its own, with doubles of Stripe and QStash.

use std::time::{Duration, Instant};

use jarvis_cron::cli::call::Delivery;
use jarvis_cron::demo::qstash_double::{Courier, Fate, QstashDouble, TOKEN};
use jarvis_cron::demo::stripe_double::{Intent, StripeDouble};
use sqlx::{Executor, PgConnection};
use tokio::process::{Child, Command};

use crate::program::{self, KEY, PUBLIC_URL};

/// The service in processes of its own, and both doubles.
pub(crate) struct Site {
    pub(crate) stripe: StripeDouble,
    qstash: QstashDouble,
    /// Their addresses.
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
            let address = program::free_address();
            let mut command = Command::new(env!("CARGO_BIN_EXE_jarvis-cron"));
            command
                .arg("serve")
                .env_clear()
                .envs([
                    ("QSTASH_TOKEN", TOKEN),
                    ("QSTASH_URL", &qstash.url()),
                    ("STRIPE_SECRET_KEY", "sk_test_bench"),
                    ("STRIPE_API_BASE", &stripe.url()),
                    ("RUST_LOG", "error"),
                ])
                .envs(settings.iter().copied());
            children.push(program::serve(&mut command, &address, database));
            until_it_listens(&address).await;
            replicas.push(address);
        }
        let courier = Courier {
            signing_key: KEY.to_owned().into(),
            public_url: PUBLIC_URL.to_owned(),
            replicas: replicas.iter().map(|it| format!("http://{it}")).collect(),
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
            body: body.to_owned(),
            ..program::delivery(job, &self.replicas[0])
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

async fn until_it_listens(address: &str) {
    while tokio::net::TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
