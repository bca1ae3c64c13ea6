//! The stage of a crash: a service, a Postgres of its own, the outside, and a
//! gate on each way between them.

use std::time::Duration;

use jarvis_cron::cli::serve;
use jarvis_cron::config::Settings;
use jarvis_cron::demo::qstash_double::{QstashDouble, TOKEN};
use jarvis_cron::demo::resend_double::ResendDouble;
use jarvis_cron::http;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::gate::Gate;
use super::latch::Latch;
use super::pooler::{Pooler, Seen};
use super::server::Server;
use super::work::Work;
use crate::app::{App, Delivery, Reply};
use crate::database::Database;
use crate::processes::until;

/// A message that is not taken by then will never be.
const PATIENCE: Duration = Duration::from_mins(1);

/// Everything that a run of one job meets.
pub(super) struct Stage {
    pub(super) app: App,
    pub(super) work: Work,
    pub(super) resend: ResendDouble,
    pub(super) qstash: QstashDouble,
    pub(super) to_postgres: Pooler,
    pub(super) to_stripe: Gate,
    pub(super) to_resend: Gate,
    pub(super) to_qstash: Gate,
    server: Mutex<Server>,
}

impl Stage {
    /// With work to do for that job, and a way to Postgres that lets the
    /// service see so much of a crash.
    pub(super) async fn new(work: Work, seen: Seen) -> Self {
        let server = Server::start().await;
        let to_postgres = Pooler::to(server.port(), seen).await;
        let (resend, qstash) = tokio::join!(ResendDouble::start(), QstashDouble::start());
        let (resend, qstash) = (resend.unwrap(), qstash.unwrap());
        let (to_stripe, to_resend, to_qstash) = tokio::join!(Gate::new(), Gate::new(), Gate::new());
        let database = Database::elsewhere(server.url(), to_postgres.url().to_owned());
        let settings = [
            ("STRIPE_API_BASE", to_stripe.url()),
            ("RESEND_API_KEY", "re_test"),
            ("RESEND_API_BASE", to_resend.url()),
            ("RESEND_MAX_RPS", "1000"),
            ("REPORT_FROM", "JARVIS <reports@gym.test>"),
            ("QSTASH_TOKEN", TOKEN),
            ("QSTASH_URL", to_qstash.url()),
        ];
        let app = App::with_database(database, &settings).await;
        to_stripe.lead_to(&app.stripe.url());
        to_resend.lead_to(&resend.url());
        to_qstash.lead_to(&qstash.url());
        work.prepare(&app).await;
        Self {
            app,
            work,
            resend,
            qstash,
            to_postgres,
            to_stripe,
            to_resend,
            to_qstash,
            server: Mutex::new(server),
        }
    }

    /// A message for the job, with small batches.
    pub(super) fn delivery(&self) -> Delivery {
        let batch_size = match self.work {
            // Its batches are counted in kiosks, two to a gym.
            Work::Kiosks => 4,
            _ => 2,
        };
        Delivery::of(self.work.job()).body(&format!("{{\"batch_size\": {batch_size}}}"))
    }

    /// Delivers a message; while its run is held, so many of its transactions
    /// open, Postgres crashes and comes back. The answer, and whether the crash
    /// undid something.
    pub(super) async fn deliver_into_a_crash(
        &self,
        delivery: &Delivery,
        held: &Latch,
        open: i64,
    ) -> (Reply, bool) {
        let crash = async {
            held.reached().await;
            until("only what is held is under way", async || {
                self.app.count(AT_WORK).await == open
            })
            .await;
            let undid = self.crash().await;
            held.open();
            undid
        };
        tokio::join!(delivery.to(&self.app), crash)
    }

    /// Postgres crashes and comes back. Whether something is undone.
    pub(super) async fn crash(&self) -> bool {
        let before = self.effects().await;
        let mut server = self.server.lock().await;
        server.crash();
        server.come_back().await;
        self.effects().await != before
    }

    /// What the tables show of the work.
    async fn effects(&self) -> Vec<i64> {
        let mut effects = Vec::new();
        for effect in self.work.effects() {
            effects.push(self.app.count(&format!("select {}", effect.shown)).await);
        }
        effects
    }

    /// Delivers for as long as the answer is to come back later; all answers.
    pub(super) async fn redeliver(&self, delivery: &Delivery) -> Vec<Reply> {
        let mut answers = Vec::new();
        let taken = async {
            loop {
                let answer = delivery.to(&self.app).await;
                let is_taken = !matches!(answer.status.as_u16(), 409 | 503);
                answers.push(answer);
                if is_taken {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let taken = timeout(PATIENCE, taken).await;
        assert!(taken.is_ok(), "it was never taken: {answers:#?}");
        answers
    }

    /// Another process takes the place of one that was asked to stop.
    pub(super) fn replace_the_process(&mut self) {
        let read = Settings::none().with(self.app.settings.clone());
        self.app.runner = serve::runner(&read).unwrap();
        self.open_for_calls();
    }

    /// Calls go to the runner as it is now.
    pub(super) fn open_for_calls(&mut self) {
        let read = Settings::none().with(self.app.settings.clone());
        self.app.router = http::router(self.app.runner.clone(), read.guard(false).unwrap());
    }
}

/// Connections of the service that are not between two transactions.
const AT_WORK: &str = "select count(*)
       from pg_stat_activity
      where application_name = 'jarvis-cron'
        and state <> 'idle'";
