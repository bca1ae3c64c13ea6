//! What `doctor` says of schedules that are not as they were deployed.

use jarvis_cron::config;
use jarvis_cron::qstash::apply::{Scope, apply as apply_to};
use jarvis_cron::qstash::client::Client;
use jarvis_cron::qstash::plan::Wanted;
use jarvis_cron::qstash::schedules::Schedules;
use tokio_util::sync::CancellationToken;

use super::*;

const CHURN: &str = "jarvis-daily-churn";

/// A client that may write, and the schedules as they are to be.
fn client(all: &Surroundings) -> (Client, Vec<Wanted>) {
    let settings = all.settings(&[("QSTASH_TOKEN", TOKEN)]);
    let settings = config::Settings::none().with(settings);
    let client = Client::new(settings.qstash().unwrap().unwrap()).unwrap();
    let destination = settings.destination(false).unwrap();
    (client, Schedules::deployed().wanted(&destination).unwrap())
}

/// Makes them what they are to be.
pub(super) async fn apply(all: &Surroundings) {
    let (client, wanted) = client(all);
    let stop = CancellationToken::new();
    apply_to(&client, &wanted, None, Scope::default(), &stop)
        .await
        .unwrap();
}

#[tokio::test]
async fn one_that_is_missing_is_never_called() {
    let all = Surroundings::new().await;
    client(&all).0.delete_schedule(CHURN).await.unwrap();
    let found = doctor(&all.settings(&[])).await;
    found.fails_with(&[&format!("these jobs are never called: {CHURN}")]);
}

#[tokio::test]
async fn what_was_changed_paused_or_left_over_is_a_warning() {
    let all = Surroundings::new().await;
    let (client, wanted) = client(&all);
    let churn = wanted.iter().find(|wanted| wanted.id == CHURN).unwrap();
    let mut headers = churn.headers.clone();
    headers.insert(
        "upstash-cron",
        "CRON_TZ=Europe/Paris 5 2 * * *".parse().unwrap(),
    );
    let put = |headers| client.put_schedule(&churn.destination, headers, churn.body.clone());
    put(headers.clone()).await.unwrap();
    headers.insert("upstash-schedule-id", "jarvis-of-old".parse().unwrap());
    put(headers.clone()).await.unwrap();
    headers.insert("upstash-schedule-id", "of-another-program".parse().unwrap());
    put(headers).await.unwrap();
    client
        .set_paused("jarvis-weekly-reports", true)
        .await
        .unwrap();

    let found = doctor(&all.settings(&[])).await;

    found.fails_with(&[]);
    found.warns_of("these differ from what was deployed: jarvis-daily-churn (cron)");
    found.warns_of("not deployed any more: jarvis-of-old");
    found.warns_of("because they are paused: jarvis-weekly-reports");
    assert!(!found.answer.to_string().contains("of-another-program"));
}
