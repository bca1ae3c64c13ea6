//! What a flood of refusals leaves in the log.

use super::serving::Service;
use super::*;
use jarvis_cron::outbound;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const REFUSALS: u64 = 500;

#[tokio::test]
async fn a_flood_of_refusals_leaves_a_few_short_lines_and_the_number_of_the_others() {
    let app = App::new().await;
    let mut service = Service::start(&app.settings).await;
    let path = format!("/api/{}", "p".repeat(20_000));
    let mut caller = TcpStream::connect(service.url.trim_start_matches("http://"))
        .await
        .unwrap();
    let began = std::time::Instant::now();
    let flood = async {
        for _ in 0..REFUSALS {
            let asked = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
            caller.write_all(asked.as_bytes()).await.unwrap();
            assert!(caller.read(&mut [0; 4096]).await.unwrap() > 0);
        }
        began.elapsed().as_secs()
    };
    // Read meanwhile: a full pipe would hold the service.
    let reading = async {
        let (mut logged, mut skipped) = (0, 0);
        while logged + skipped < REFUSALS {
            let line = service.next_line().await;
            assert!(line.len() < 700, "{line}");
            let event: Value = serde_json::from_str(&line).unwrap();
            match event["message"].as_str().unwrap() {
                "Refused a request" => {
                    assert_eq!(event["path"], path[..200]);
                    assert!(event["span"]["request_id"].is_string(), "{line}");
                    logged += 1;
                }
                "Skipping refusals in the log: too many a second" => {
                    skipped += event["skipped"].as_u64().unwrap();
                }
                _ => {}
            }
        }
        (logged, skipped)
    };
    let (seconds, (logged, skipped)) = tokio::join!(flood, reading);

    assert_eq!(logged + skipped, REFUSALS);
    assert!(logged <= 20 * (seconds + 2), "{logged} lines");
    let figures = outbound::client(std::time::Duration::from_mins(1))
        .unwrap()
        .get(format!("{}/metrics", service.url))
        .bearer_auth(OPERATOR_SECRET);
    let figures = figures.send().await.unwrap().text().await.unwrap();
    let sample = format!("jarvis_cron_refusals_total{{code=\"not_found\"}} {REFUSALS}\n");
    assert!(figures.contains(&sample), "{figures}");
}
