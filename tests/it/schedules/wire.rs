//! What we send beside what the official client sends, header by header.
//!
//! The fixture holds facts: the calls of npm's `@upstash/qstash` 2.12.0 with
//! the settings of our six schedules, as they arrived before the double.

use jarvis_cron::config;
use jarvis_cron::demo::qstash_double::Call;
use jarvis_cron::qstash::client::{Client, Message};
use jarvis_cron::qstash::delivery::Destination;
use reqwest::header::HeaderMap;
use std::collections::BTreeMap;

use super::*;

type Headers = BTreeMap<String, String>;

/// What one side sends and the other does not, or not alike, on purpose.
const DELIBERATE: [(&str, &str); 9] = [
    ("host", "the address that was called"),
    ("user-agent", "each says its own name"),
    ("connection", "kept alive without being asked, in HTTP/1.1"),
    (
        "accept-encoding",
        "answers are short; nothing is unpacked here",
    ),
    (
        "accept-language",
        "what fetch() adds; the API has one language",
    ),
    ("sec-fetch-mode", "what fetch() adds; this is no browser"),
    (
        "content-length",
        "of an empty body, which may be left unsaid",
    ),
    (
        "upstash-telemetry-runtime",
        "telemetry: no business of QStash's",
    ),
    ("upstash-telemetry-sdk", "telemetry: this is not that SDK"),
];

fn recorded() -> Vec<Value> {
    let text = include_str!("../fixtures/qstash-wire.json");
    let fixture: Value = serde_json::from_str(text).unwrap();
    fixture["calls"].as_array().unwrap().clone()
}

fn compared(headers: impl Iterator<Item = (String, String)>) -> Headers {
    let is_deliberate = |name: &str| DELIBERATE.iter().any(|(known, _)| *known == name);
    headers.filter(|(name, _)| !is_deliberate(name)).collect()
}

fn theirs(headers: &Value) -> Headers {
    let headers = headers.as_object().unwrap().iter();
    compared(headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())))
}

fn ours(headers: &HeaderMap) -> Headers {
    let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned();
    compared(
        headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value))),
    )
}

/// The call of ours with this method and path; the one of this schedule, as
/// several may have the same.
fn like<'a>(calls: &'a [Call], call: &Value) -> &'a Call {
    calls
        .iter()
        .find(|ours| call["method"] == ours.method.as_str() && ours.path == call["path"])
        .unwrap_or_else(|| panic!("we send no {} {}", call["method"], call["path"]))
}

#[tokio::test]
async fn schedules_are_made_listed_paused_resumed_and_deleted_as_the_official_client_does() {
    let qstash = Qstash::applied().await;
    for arguments in [&["pause", CHURN][..], &["resume", CHURN], &["list"]] {
        assert_eq!(qstash.run(arguments).await.code, Some(0));
    }
    // Deleted by a file that names it otherwise.
    let renamed = Written::new(&file(|file| {
        file["schedules"][4]["id"] = json!("jarvis-churn");
    }));
    qstash
        .run(&["apply", "--prune", "--file", renamed.path()])
        .await;

    let calls = qstash.double.calls();
    let mut seen = 0;
    for call in recorded() {
        if call["path"].as_str().unwrap().starts_with("/v2/schedules") {
            let own = like(&calls, &call);
            assert_eq!(
                ours(&own.headers),
                theirs(&call["headers"]),
                "{}",
                call["name"]
            );
            assert_eq!(call["body"], own.body, "{}", call["name"]);
            seen += 1;
        }
    }
    assert_eq!(seen, 10);
}

/// A client, and how it asks for deliveries.
fn client(qstash: &Qstash) -> (Client, HeaderMap) {
    let settings = config::Settings::none().with(qstash.settings.clone());
    let destination: Destination = settings.destination(false).unwrap();
    let delivery = &Schedules::deployed().of(crate::app::JOB).unwrap().delivery;
    let headers = destination.headers(delivery).unwrap();
    let client = Client::new(settings.qstash().unwrap().unwrap()).unwrap();
    (client, headers)
}

fn message(headers: &HeaderMap, id: &str, body: &Value) -> Message {
    Message {
        destination: format!("{PUBLIC_URL}/api/cron/{}", crate::app::JOB),
        headers: headers.clone(),
        body: body.as_str().unwrap().to_owned(),
        deduplication_id: id.to_owned(),
    }
}

#[tokio::test]
async fn a_message_is_published_as_the_official_client_does() {
    let qstash = Qstash::new().await;
    let (client, headers) = client(&qstash);
    let recorded = recorded();
    let call = recorded
        .iter()
        .find(|call| call["name"] == "publishJSON")
        .unwrap();

    // What is answered is another test's matter.
    let _ = client
        .publish(&message(&headers, "continuation-1", &call["body"]))
        .await;

    let calls = qstash.double.calls();
    let own = like(&calls, call);
    assert_eq!(ours(&own.headers), theirs(&call["headers"]));
    assert_eq!(call["body"], own.body);
}

#[tokio::test]
async fn a_batch_is_published_as_the_official_client_does() {
    let qstash = Qstash::new().await;
    let (client, headers) = client(&qstash);
    let recorded = recorded();
    let call = recorded
        .iter()
        .find(|call| call["name"] == "batch")
        .unwrap();
    let entries = call["body"].as_array().unwrap();
    let messages: Vec<Message> = entries
        .iter()
        .enumerate()
        .map(|(shard, entry)| message(&headers, &format!("fan-out-{shard}"), &entry["body"]))
        .collect();

    let _ = client.batch(&messages).await;

    let calls = qstash.double.calls();
    let own = like(&calls, call);
    assert_eq!(ours(&own.headers), theirs(&call["headers"]));
    let sent: Vec<Value> = serde_json::from_str(&own.body).unwrap();
    assert_eq!(sent.len(), entries.len());
    for (sent, entry) in sent.iter().zip(entries) {
        assert_eq!(sent["destination"], entry["destination"]);
        assert_eq!(sent["body"], entry["body"]);
        assert_eq!(theirs(&sent["headers"]), theirs(&entry["headers"]));
    }
}
