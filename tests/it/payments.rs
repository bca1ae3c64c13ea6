//! Payments as the shop and Stripe leave them, for the tests of both shop jobs.

use jarvis_cron::demo::stripe_double::{Intent, Operation, Session};
use uuid::Uuid;

use crate::app::{App, Reply};

/// A status in which an intent waits for its customer.
pub(crate) const OPEN: &str = "requires_payment_method";

impl App {
    /// A row with a Checkout session and no intent, of this order and that many days old; Stripe knows
    /// the session if a status is given. Answers the session's id.
    pub(crate) async fn session_row(
        &self,
        order: Option<Uuid>,
        days: i32,
        at_stripe: Option<&str>,
    ) -> String {
        let session = format!("cs_{}", Uuid::new_v4().simple());
        if let Some(status) = at_stripe {
            self.stripe.add_session(Session::new(&session, status));
        }
        sqlx::query(
            "insert into payment_intents (order_id, checkout_session_id, status, amount, created_at,
                                          updated_at)
             select $1, $2, $3, 1000, made, made
               from (select now() - make_interval(days => $4) as made) then_",
        )
        .bind(order)
        .bind(&session)
        .bind(OPEN)
        .bind(days)
        .execute(&self.db)
        .await
        .expect("a row may have a session and no intent");
        session
    }

    /// The intent of a session whose customer went this far.
    pub(crate) fn customer_of(&self, session: &str, status: &str) -> String {
        let intent = session.replacen("cs_", "pi_", 1);
        self.stripe.add(Intent {
            checkout_session_id: Some(session.to_owned()),
            ..Intent::new(&intent, status)
        });
        intent
    }

    /// An intent at Stripe for which so much of a bank transfer of 10.00 EUR has come in.
    pub(crate) fn partly_transferred(&self, intent: &str, status: &str, transferred: i64) {
        self.stripe.add(Intent {
            transferred: Some(transferred),
            ..Intent::new(intent, status)
        });
    }

    /// The shop's row says so, without a word of Stripe's.
    pub(crate) async fn shop_writes(&self, intent: &str, status: &str) {
        sqlx::query(
            "update payment_intents set status = $2, updated_at = now()
              where stripe_payment_intent_id = $1",
        )
        .bind(intent)
        .bind(status)
        .execute(&self.db)
        .await
        .unwrap();
    }

    /// Lets every postponed order be due again.
    pub(crate) async fn wait_no_longer(&self) {
        self.execute("update order_expirations set next_attempt_at = now() - interval '1 second'")
            .await;
    }

    /// The keys of the open alerts, sorted; an order's or an intent's id is left out.
    pub(crate) async fn open_alerts(&self) -> String {
        sqlx::query_scalar(
            "select coalesce(string_agg(key, ' ' order by key), '')
               from (select regexp_replace(dedup_key, ':[0-9a-f-]{36}$', '') as key
                       from alerts
                      where status = 'open') open",
        )
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    /// How many calls asked Stripe to end something, refused ones included.
    pub(crate) fn ends(&self) -> usize {
        let is_end = |operation: Option<Operation>| {
            matches!(
                operation,
                Some(Operation::Cancel | Operation::ExpireSession)
            )
        };
        let calls = self.stripe.calls();
        calls.iter().filter(|call| is_end(call.operation)).count()
    }

    /// Another run finds nothing to do, asks Stripe nothing and leaves every row as it is.
    pub(crate) async fn assert_another_run_changes_nothing(&self, job: &str) {
        let mut before = self.checksums().await;
        let calls = self.stripe.calls().len();
        let reply = self.deliver(job).await;
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
        let mut after = self.checksums().await;
        // Every settled run has its line.
        before.remove("system_logs");
        after.remove("system_logs");
        assert_eq!(after, before);
        assert_eq!(self.stripe.calls().len(), calls);
    }

    /// A dry run asks Stripe nothing but questions, and leaves every row as it is.
    pub(crate) async fn assert_a_dry_run_changes_nothing(&self, job: &str) -> Reply {
        let before = self.checksums().await;
        let ends = self.ends();
        let reply = self.operate(job, "dry_run=true").await;
        assert_eq!(self.checksums().await, before);
        assert_eq!(self.ends(), ends);
        reply
    }
}

impl Reply {
    /// Whether the run says both that there was nothing to do and that something failed.
    pub(crate) fn contradicts_itself(&self) -> bool {
        let message = self.body["message"].as_str().unwrap_or_default();
        let errors = self.results()["errors"].as_array().map_or(0, Vec::len);
        message.contains("nothing to do") && errors > 0
    }
}
