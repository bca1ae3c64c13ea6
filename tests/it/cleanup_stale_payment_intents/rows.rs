//! Intents to begin with, and what has become of them.

use jarvis_cron::demo::stripe_double::Intent;
use uuid::Uuid;

use super::OPEN;
use crate::app::{App, Reply};

impl App {
    /// An intent that many days old, with these statuses here and at Stripe;
    /// `None` at Stripe: it does not know the intent. `order` is the status
    /// of an order, `in time`, `never due` or `overdue` for an unpaid one, or
    /// `no order`. Answers its Stripe id.
    pub(super) async fn intent_of(
        &self,
        order: &str,
        days: i32,
        here: &str,
        at_stripe: Option<&str>,
    ) -> String {
        let stripe_id = format!("pi_{}", Uuid::new_v4().simple());
        if let Some(status) = at_stripe {
            self.stripe.add(Intent::new(&stripe_id, status));
        }
        sqlx::query(
            "with ordered as (
                 insert into orders (order_number, status, expires_at, created_at)
                 select 'O-' || $2,
                        case when $1 in ('in time', 'never due', 'overdue')
                             then 'REQUIRES_PAYMENT' else $1 end,
                        case $1 when 'in time' then now() + interval '1 minute'
                                when 'never due' then null
                                else now() - interval '1 minute' end,
                        now() - make_interval(days => $3)
                  where $1 <> 'no order'
                 returning id
             )
             insert into payment_intents (order_id, stripe_payment_intent_id, status, amount,
                                          created_at, updated_at)
             select (select id from ordered), $2, $4, 1000, made, made
               from (select now() - make_interval(days => $3) as made) then_",
        )
        .bind(order)
        .bind(&stripe_id)
        .bind(days)
        .bind(here)
        .execute(&self.db)
        .await
        .unwrap();
        stripe_id
    }

    /// So many open intents without an order, made one after the other; the
    /// first is the longest untouched.
    pub(super) async fn many_intents(&self, count: i32) -> Vec<String> {
        let ids: Vec<String> = sqlx::query_scalar(
            "insert into payment_intents (stripe_payment_intent_id, status, amount, created_at,
                                          updated_at)
             select 'pi_many_' || n, $2, 1000, made, made
               from generate_series(1, $1) n,
                    lateral (select now() - interval '9 days' + n * interval '1 second' as made) m
              order by n
             returning stripe_payment_intent_id",
        )
        .bind(count)
        .bind(OPEN)
        .fetch_all(&self.db)
        .await
        .unwrap();
        self.stripe
            .add_all(ids.iter().map(|id| Intent::new(id, OPEN)));
        ids
    }

    /// One of each: to cancel, to write down, to leave alone, to fail.
    pub(super) async fn a_bit_of_everything(&self) {
        for (order, here, at_stripe) in [
            ("no order", OPEN, Some(OPEN)),
            ("EXPIRED", "requires_action", Some("requires_confirmation")),
            ("CANCELED", "requires_capture", Some("requires_capture")),
            ("PAID", "requires_capture", Some("requires_capture")),
            ("overdue", "requires_action", Some("processing")),
            ("no order", "processing", Some("processing")),
            ("no order", OPEN, Some("succeeded")),
            ("REFUNDED", OPEN, Some("canceled")),
            ("no order", OPEN, None),
            ("no order", OPEN, Some("requires_patience")),
            ("in time", OPEN, Some(OPEN)),
        ] {
            self.intent_of(order, 8, here, at_stripe).await;
        }
    }

    /// The row of an intent and how the run must have counted it, in one
    /// line: `status | canceled_at | last_error | counted as`.
    pub(super) async fn line(&self, intent: &str, before: &str, reply: &Reply) -> String {
        let (status, dated, error, synced, by_us): (String, bool, String, bool, bool) =
            sqlx::query_as(
                "select status, canceled_at is not null,
                        coalesce(regexp_replace(last_error, ' \\[req_\\d+\\]', ''), '-'),
                        last_synced_at is not null,
                        exists (select from audit_events e
                                 where e.entity_id = p.id::text
                                   and e.payload ->> 'canceled_by' = 'us')
                   from payment_intents p
                  where stripe_payment_intent_id = $1",
            )
            .bind(intent)
            .fetch_one(&self.db)
            .await
            .unwrap();
        let was_asked = self
            .stripe
            .calls()
            .iter()
            .any(|call| call.intent.as_deref() == Some(intent));
        let counted = match () {
            () if !was_asked => "not asked about",
            () if is_error(reply, intent) => "errors",
            () if by_us => "payment_intents_canceled",
            () if status != before => "payments_updated",
            () => "left_alone",
        };
        let dated = if dated { "set" } else { "-" };
        // What Stripe said nothing of may be asked about again at once.
        let again = if synced || !was_asked {
            ""
        } else {
            ", asked again"
        };
        let error = error.replace(intent, "pi_1");
        format!("{status} | {dated} | {error} | {counted}{again}")
    }
}

/// Asserts that the run counted just what these lines say.
pub(super) fn assert_counted(lines: &[String], reply: &Reply) {
    let results = reply.results();
    for count in ["payment_intents_canceled", "payments_updated", "left_alone"] {
        let told = lines.iter().filter(|line| line.contains(count)).count();
        assert_eq!(results[count], told, "{count}: {results}\n{lines:#?}");
    }
    let errors = lines
        .iter()
        .filter(|line| line.contains("| errors"))
        .count();
    assert_eq!(
        results["errors"].as_array().map(Vec::len),
        Some(errors),
        "{results}\n{lines:#?}"
    );
}

fn is_error(reply: &Reply, intent: &str) -> bool {
    let errors = reply.results()["errors"].as_array();
    errors
        .into_iter()
        .flatten()
        .any(|error| error["payment_intent_id"] == intent)
}
