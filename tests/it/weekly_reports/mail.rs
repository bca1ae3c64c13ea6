//! Mail: to each recipient once, whatever happens in between.

use std::time::Duration;

use jarvis_cron::demo::resend_double::{Fault, ResendDouble};
use uuid::Uuid;

use super::{JOB, MONDAY};
use crate::app::{App, PUBLIC_URL, Reply};

mod answers;
mod content;
mod mailboxes;
mod outage;
mod outbox;
mod refused;
mod waiting;

const ADA: &str = "ada@gym.test";
const BOB: &str = "bob@gym.test";

/// A gym whose report two people want: one in French, one in English.
struct Post {
    app: App,
    resend: ResendDouble,
    gym: Uuid,
}

impl Post {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(changes: &[(&str, &str)]) -> Self {
        let resend = ResendDouble::start().await.unwrap();
        let url = resend.url();
        let mut settings = vec![
            ("RESEND_API_KEY", "re_test"),
            ("RESEND_API_BASE", url.as_str()),
            ("RESEND_MAX_RPS", "1000"),
            ("REPORT_FROM", "JARVIS <reports@gym.test>"),
        ];
        settings.extend(changes);
        let app = App::with(&settings).await;
        let gym = app.gym_called("lyon", "Europe/Paris").await;
        for (email, locale) in [(ADA, "fr"), (BOB, "en-GB")] {
            sqlx::query(
                "insert into report_recipients (gym_id, email, locale) values ($1, $2, $3)",
            )
            .bind(gym)
            .bind(email)
            .bind(locale)
            .execute(&app.db)
            .await
            .unwrap();
        }
        Self { app, resend, gym }
    }

    async fn run(&self) -> Reply {
        let reply = self.app.operate(JOB, "").await;
        assert_eq!(reply.outcome(), (200, "succeeded"), "{reply:?}");
        reply
    }

    /// Lets a week pass, and then some.
    async fn a_week_passes(&self) {
        self.app
            .execute(
                "update weekly_reports
                    set period_start = period_start - interval '7 days',
                        period_end = period_end - interval '7 days',
                        -- Each its own, in whatever order they are changed.
                        iso_year = case
                            when iso_year < 2000 then iso_year
                            else 1999 - (select count(*) from weekly_reports)
                        end;
                 update report_deliveries
                    set unsure_since = unsure_since - interval '7 days',
                        attempted_at = attempted_at - interval '7 days'",
            )
            .await;
    }

    /// How many mails each of the two got.
    fn got(&self) -> (usize, usize) {
        let sent = self.resend.sent();
        let to = |address| sent.iter().filter(|mail| mail.to == address).count();
        (to(ADA), to(BOB))
    }

    /// `sent`, `failed`, `unsure` or `gone`, with the error.
    async fn delivery(&self, to: &str) -> (bool, bool, Option<String>) {
        sqlx::query_as(
            "select sent_at is not null, unsure_since is not null, error
               from report_deliveries where recipient = $1",
        )
        .bind(to)
        .fetch_one(&self.app.db)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn each_recipient_gets_one_mail_in_their_language_with_a_link() {
    let post = Post::new().await;

    let reply = post.run().await;

    assert_eq!(reply.results()["emails_sent"], 2);
    assert_eq!(post.got(), (1, 1));
    let sent = post.resend.sent();
    let french = sent.iter().find(|mail| mail.to == ADA).unwrap();
    let english = sent.iter().find(|mail| mail.to == BOB).unwrap();
    assert_eq!(french.from, "JARVIS <reports@gym.test>");
    assert!(french.text.contains("Visites: 0"), "{}", french.text);
    assert!(english.text.contains("Visits: 0"), "{}", english.text);
    assert!(
        french.html.contains("<html lang=\"fr\">"),
        "{}",
        french.html
    );
    let link = english
        .text
        .split(PUBLIC_URL)
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let page = post.app.call(axum::http::Method::GET, link, &[], "").await;
    assert_eq!(page.status, 200, "{link}");
    assert!(page.text.contains("<html lang=\"en\">"));
    let stored = "select count(*) from report_deliveries where sent_at is not null and message_id is not null";
    assert_eq!(post.app.count(stored).await, 2);

    assert_eq!(post.run().await.results()["emails_sent"], 0);
    assert_eq!(post.got(), (1, 1));
}

#[tokio::test]
async fn a_process_that_died_after_sending_sends_no_mail_twice() {
    let post = Post::new().await;
    post.run().await;
    post.app
        .execute(
            "update report_deliveries set sent_at = null, message_id = null, unsure_since = now()",
        )
        .await;

    let reply = post.run().await;

    assert_eq!(reply.results()["emails_sent"], 2);
    assert_eq!(post.got(), (1, 1));
    assert_eq!(post.delivery(ADA).await, (true, false, None));
}

#[tokio::test]
async fn a_report_that_changed_since_is_not_mailed_again_either() {
    let post = Post::new().await;
    post.run().await;
    post.app
        .execute(
            "update report_deliveries set sent_at = null, unsure_since = now();
             update weekly_reports set metrics = jsonb_set(metrics, '{visits,value}', '7')",
        )
        .await;

    let reply = post.run().await;

    assert_eq!(reply.results()["emails_sent"], 2);
    assert_eq!(post.got(), (1, 1));
    assert_eq!(post.delivery(ADA).await, (true, false, None));
}

#[tokio::test]
async fn an_unsure_mail_is_not_tried_after_resend_forgets_its_key() {
    let post = Post::new().await;
    post.run().await;
    let calls = post.resend.calls().len();
    post.app
        .execute("update report_deliveries set sent_at = null, unsure_since = now() - interval '25 hours'")
        .await;

    post.run().await;

    assert_eq!(post.resend.calls().len(), calls);
}

#[tokio::test]
async fn a_dry_run_a_replay_and_a_service_without_a_key_send_no_mail() {
    let post = Post::new().await;
    let without = App::new().await;
    without.gym_called("lyon", "Europe/Paris").await;
    without
        .execute("insert into report_recipients (gym_id, email) select id, 'a@gym.test' from gyms")
        .await;

    post.app.operate(JOB, "dry_run=true").await;
    post.app.operate(JOB, MONDAY).await;
    without.operate(JOB, "").await;

    assert!(post.resend.calls().is_empty());
    for app in [&post.app, &without] {
        assert_eq!(app.count("select count(*) from report_deliveries").await, 0);
    }
}

#[tokio::test]
async fn who_subscribes_later_gets_the_last_report_and_none_before() {
    let post = Post::new().await;
    post.run().await;
    post.app
        .execute(
            "insert into weekly_reports (gym_id, iso_year, iso_week, period_start, period_end, timezone, metrics, content_hash)
             select gym_id, iso_year, case when iso_week > 1 then iso_week - 1 else 53 end,
                    period_start - interval '7 days', period_end - interval '7 days', timezone, metrics, 'x'
               from weekly_reports;
             insert into report_recipients (gym_id, email) select id, 'cy@gym.test' from gyms",
        )
        .await;

    assert_eq!(post.run().await.results()["emails_sent"], 1);
    assert_eq!(post.resend.sent().last().unwrap().to, "cy@gym.test");
}

#[tokio::test]
async fn only_the_gym_that_was_asked_for_is_mailed() {
    let post = Post::new().await;
    let other = post.app.gym_called("lille", "Europe/Paris").await;
    post.app
        .execute(&format!(
            "insert into report_recipients (gym_id, email) values ('{other}', 'cy@gym.test')"
        ))
        .await;
    post.app.operate(JOB, &format!("gym_id={}", post.gym)).await;

    assert_eq!(post.got(), (1, 1));
    assert_eq!(post.resend.sent().len(), 2);
}

#[tokio::test]
async fn no_transaction_is_open_while_a_mail_is_sent() {
    let post = Post::new().await;
    post.resend
        .fault(ADA, Fault::Hang(Duration::from_millis(800)));
    let seen = async {
        while post.resend.calls().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        post.app
            .count(
                "select count(*) from pg_stat_activity
                  where datname = current_database() and state like 'idle in transaction%'",
            )
            .await
    };

    let (_, open) = tokio::join!(post.run(), seen);

    assert_eq!(open, 0);
}
