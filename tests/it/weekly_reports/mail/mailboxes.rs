//! One mailbox, however its address is written, gets one mail.

use rstest::rstest;
use serde_json::json;

use super::{ADA, JOB, Post};

/// A gym whose list is this.
async fn listed(emails: &[&str]) -> Post {
    let post = Post::new().await;
    post.app.execute("delete from report_recipients").await;
    for email in emails {
        add(&post, email, "fr").await;
    }
    post
}

async fn add(post: &Post, email: &str, locale: &str) {
    sqlx::query("insert into report_recipients (gym_id, email, locale) values ($1, $2, $3)")
        .bind(post.gym)
        .bind(email)
        .bind(locale)
        .execute(&post.app.db)
        .await
        .unwrap();
}

fn recipients(post: &Post) -> Vec<String> {
    post.resend.sent().into_iter().map(|mail| mail.to).collect()
}

#[rstest]
#[case::letters(&["Ada@Gym.test", "ada@gym.test", "ADA@GYM.TEST"])]
#[case::spaces(&[" ada@gym.test", "ada@gym.test ", "ada@gym.test"])]
#[case::one_with_a_space_alone(&["ada@gym.test "])]
#[case::lines_and_tabs(&["ada@gym.test\n", "\tada@gym.test", "ada@gym.test\r\n"])]
#[case::spaces_of_other_kinds(&["\u{a0}ada@gym.test", "ada@gym.test\u{202f}", "ada@gym.test\u{3000}"])]
#[case::what_is_not_seen(&["\u{feff}ada@gym.test", "ada\u{200b}@gym.test", "ada@gym\u{ad}.test"])]
#[case::with_a_name(&["Ada Lovelace <ada@gym.test>", "\"Lovelace, Ada\" < Ada@gym.test >", "<ada@gym.test>"])]
#[tokio::test]
async fn the_spellings_of_one_mailbox_get_one_mail(#[case] emails: &[&str]) {
    let post = listed(emails).await;

    let reply = post.run().await;

    assert_eq!(reply.results()["emails_sent"], 1, "{reply:?}");
    assert_eq!(recipients(&post), [ADA]);
    assert_eq!(post.run().await.results()["emails_sent"], 0);
}

#[rstest]
#[case::capitals_with_accents(&["\u{c9}lodie@gym.test", "\u{e9}lodie@gym.test"], 1)]
#[case::a_turkish_i(&["INES@gym.test", "ines@gym.test"], 1)]
#[case::other_mailboxes(&["ada@gym.test", "ad.a@gym.test", "ada+x@gym.test"], 3)]
#[case::nothing(&["", " ", "\u{200b}"], 0)]
#[tokio::test]
async fn other_letters_and_other_mailboxes(#[case] emails: &[&str], #[case] mails: usize) {
    let post = listed(emails).await;

    let reply = post.run().await;

    assert_eq!(recipients(&post).len(), mails, "{reply:?}");
}

#[tokio::test]
async fn who_got_the_report_under_another_spelling_gets_it_no_more() {
    let post = listed(&["Ada@Gym.test"]).await;
    post.run().await;
    post.app
        .execute("update report_deliveries set recipient = ' Ada@Gym.test'")
        .await;
    add(&post, "ada@gym.test", "fr").await;

    assert_eq!(post.run().await.results()["emails_sent"], 0);
    assert_eq!(recipients(&post), [ADA]);
}

#[tokio::test]
async fn rows_that_an_earlier_version_left_get_one_mail_and_the_one_that_may_be_sent_comes_first() {
    let post = listed(&["Ada@gym.test", "ada@gym.test", "ada@gym.test "]).await;
    post.run().await;
    post.app
        .execute(
            "insert into report_deliveries (report_id, recipient)
             select report_id, unnest(array['Ada@gym.test', 'ada@gym.test ']) from report_deliveries;
             update report_deliveries
                set sent_at = null, attempts = 0, attempted_at = null, unsure_since = null,
                    mail_key = null;
             update report_deliveries
                set unsure_since = now() - interval '1 hour', mail_key = 'as-before'
              where recipient = 'ada@gym.test '",
        )
        .await;

    let reply = post.run().await;

    assert_eq!(reply.results()["emails_sent"], 1, "{reply:?}");
    assert_eq!(reply.results()["emails_waiting"], 0);
    let keys: Vec<_> = post
        .resend
        .sent()
        .into_iter()
        .map(|mail| mail.idempotency_key)
        .collect();
    assert_eq!(keys[1], "as-before");
    assert_eq!(post.run().await.results()["emails_sent"], 0);
}

#[tokio::test]
async fn of_two_languages_always_the_same_one_is_chosen() {
    for order in [["fr", "en-GB"], ["en-GB", "fr"]] {
        let post = listed(&[]).await;
        let spelling = |locale| {
            if locale == "fr" {
                "ada@gym.test"
            } else {
                "ADA@gym.test"
            }
        };
        for locale in order {
            add(&post, spelling(locale), locale).await;
        }
        post.run().await;
        let sent = post.resend.sent();
        assert_eq!(sent.len(), 1);
        assert!(
            sent[0].html.contains("<html lang=\"fr\">"),
            "{}",
            sent[0].html
        );
    }
}

#[tokio::test]
async fn an_address_that_is_taken_off_the_list_in_another_spelling_gets_nothing() {
    let post = listed(&["Ada@gym.test"]).await;
    post.resend.quota(Some(0));
    post.app.operate(JOB, "").await;
    post.resend.quota(None);
    post.app.execute("delete from report_recipients").await;

    assert_eq!(post.run().await.results()["emails_sent"], 0);
}

#[tokio::test]
async fn an_address_that_is_refused_is_told_of_once_and_gets_no_newer_mail() {
    let post = listed(&["ada lovelace@gym.test", "bob@gym.test"]).await;
    let told = async || {
        let sql =
            "select status, details -> 'addresses' as n from alerts where kind = 'mail_refused'";
        post.app.rows(sql).await
    };
    post.run().await;
    assert_eq!(told().await, json!([{ "status": "open", "n": 1 }]));
    let mut failures = 1;

    for week in 1..=8 {
        post.a_week_passes().await;
        let reply = post.run().await;
        assert_eq!(reply.results()["emails_sent"], 1, "{week}: {reply:?}");
        failures += reply.results()["emails_failed"].as_u64().unwrap();
    }

    assert_eq!(
        failures, 4,
        "tries of one mail, until its report is a month old"
    );
    assert_eq!(told().await, json!([{ "status": "open", "n": 1 }]));
    post.app
        .execute("update report_recipients set email = 'ada@gym.test' where email like 'ada %'")
        .await;
    assert_eq!(post.run().await.results()["emails_sent"], 1);
    assert_eq!(told().await, json!([{ "status": "resolved", "n": 1 }]));
}
