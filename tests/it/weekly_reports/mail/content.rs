//! What a mail says, and what it never says.

use serde_json::json;

use super::Post;
use crate::app::PUBLIC_URL;

#[tokio::test]
async fn a_hostile_name_stays_on_its_line_and_is_escaped() {
    let post = Post::new().await;
    post.app
        .execute("update gyms set name = E'<b>Gym</b>\\r\\nBcc: all@gym.test', slug = 'a/b?c#d é'")
        .await;

    post.run().await;

    let mail = &post.resend.sent()[0];
    assert!(!mail.subject.contains(['\r', '\n']), "{:?}", mail.subject);
    assert!(!mail.html.contains("<b>"), "{}", mail.html);
    let link = mail
        .text
        .split(PUBLIC_URL)
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let page = post.app.call(axum::http::Method::GET, link, &[], "").await;
    assert_eq!(page.status, 200, "{link}: {page:?}");
}

#[tokio::test]
async fn a_mail_names_no_member() {
    let post = Post::new().await;
    let member = post.app.named_member(post.gym, "Ada", "Secret").await;
    post.app
        .execute(&format!(
            "insert into member_churn_history (member_id, scored_on, gym_id, score, level, model_version)
             select '{member}', current_date - n, '{}', 0.9, 'critical', 'test' from generate_series(0, 20) n",
            post.gym
        ))
        .await;

    post.run().await;

    let mail = json!(post.resend.sent()[0]).to_string();
    assert!(
        !mail.contains("Secret") && !mail.contains(&member.to_string()),
        "{mail}"
    );
}
