//! The figures for Prometheus: well formed, and those of the ledger.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Samples by their name and labels, as `name{a="b"}`; labels in clear.
type Samples = BTreeMap<(String, Vec<(String, String)>), f64>;

async fn scrape(app: &App) -> Samples {
    let reply = read(app, "/metrics").await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(
        reply.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    parsed(&reply.text)
}

fn value(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    samples
        .get(&(format!("jarvis_cron_{name}"), labels))
        .copied()
}

/// Reads the format as
/// <https://prometheus.io/docs/instrumenting/exposition_formats/> says it.
fn parsed(text: &str) -> Samples {
    assert!(text.ends_with('\n'), "the last line is not ended");
    let (mut samples, mut families) = (Samples::new(), BTreeSet::new());
    let mut family = (String::new(), String::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned()), "{name} comes twice");
            assert!(!help.is_empty());
            name.clone_into(&mut family.0);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family.0);
            assert!(["counter", "gauge", "summary"].contains(&kind), "{line}");
            kind.clone_into(&mut family.1);
        } else {
            let (name, labels, number) = sample(line);
            belongs(&name, &family);
            let number: f64 = number.parse().unwrap();
            let old = samples.insert((name, labels), number);
            assert!(old.is_none(), "{line} comes twice");
        }
    }
    samples
}

fn belongs(name: &str, (family, kind): &(String, String)) {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    assert!(
        name.starts_with("jarvis_cron_") && name.chars().all(is_name),
        "{name}"
    );
    match kind.as_str() {
        "summary" => {
            assert!(
                [format!("{family}_sum"), format!("{family}_count")].contains(&name.to_owned())
            );
        }
        _ => assert_eq!(name, family),
    }
    assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
}

fn sample(line: &str) -> (String, Vec<(String, String)>, &str) {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, quoted) = rest.split_once("=\"").unwrap();
            let (value, after) = unquoted(quoted);
            labels.push((label.to_owned(), value));
            match after.strip_prefix(',') {
                Some(more) => rest = more,
                None => break rest = after.strip_prefix('}').unwrap(),
            }
        }
    }
    (name.to_owned(), labels, rest.strip_prefix(' ').unwrap())
}

/// A label's value up to its closing quote, and what follows.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next().unwrap().1 {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                c => panic!("\\{c} is no escape"),
            }),
            c => value.push(c),
        }
    }
    panic!("a quote stays open: {text}");
}

#[tokio::test]
async fn every_series_is_there_before_anything_ran() {
    let samples = scrape(&App::new().await).await;
    assert_eq!(value(&samples, "up", &[]), Some(1.0));
    assert_eq!(value(&samples, "ready", &[]), Some(1.0));
    for job in jarvis_cron::jobs::ALL.iter() {
        for status in [
            "succeeded",
            "partial",
            "skipped",
            "failed",
            "fenced",
            "abandoned",
        ] {
            let labels = [("job", job.name), ("status", status)];
            assert_eq!(
                value(&samples, "runs_total", &labels),
                Some(0.0),
                "{labels:?}"
            );
        }
        for kind in job.totals {
            let labels = [("job", job.name), ("kind", kind)];
            assert_eq!(
                value(&samples, "rows_total", &labels),
                Some(0.0),
                "{labels:?}"
            );
        }
        let of = [("job", job.name)];
        assert_eq!(
            value(&samples, "run_duration_seconds_count", &of),
            Some(0.0)
        );
        assert_eq!(value(&samples, "overdue_seconds", &of), Some(0.0));
        assert_eq!(value(&samples, "paused", &of), Some(0.0));
        assert_eq!(value(&samples, "last_success_timestamp_seconds", &of), None);
    }
}

#[tokio::test]
async fn the_figures_are_those_of_the_ledger_and_survive_its_rows() {
    let app = App::new().await;
    app.stale_orders(3, 2).await;
    app.deliver(JOB).await;
    app.operate(JOB, "dry_run=true").await;
    app.execute("alter table orders rename to orders_away")
        .await;
    app.deliver(JOB).await;
    app.execute(
        "update job_run_totals set duration_ms = 1234 where status = 'succeeded';
         update job_run_totals set duration_ms = 66 where status = 'failed';
         update job_run_totals set last_finished_at = '2026-01-31T12:00:00.5Z' where status = 'succeeded'",
    )
    .await;

    let samples = scrape(&app).await;

    let of = [("job", JOB)];
    let runs = |status| value(&samples, "runs_total", &[("job", JOB), ("status", status)]);
    assert_eq!((runs("succeeded"), runs("failed")), (Some(1.0), Some(1.0)));
    let rows = |kind| value(&samples, "rows_total", &[("job", JOB), ("kind", kind)]);
    assert_eq!(rows("orders_expired"), Some(3.0));
    assert_eq!(rows("stock_released"), Some(6.0));
    assert_eq!(value(&samples, "run_duration_seconds_sum", &of), Some(1.3));
    assert_eq!(
        value(&samples, "run_duration_seconds_count", &of),
        Some(2.0)
    );
    let success = value(&samples, "last_success_timestamp_seconds", &of);
    assert_eq!(success, Some(1_769_860_800.5));

    app.execute("delete from job_runs").await;
    assert_eq!(scrape(&app).await, samples);
}

#[tokio::test]
async fn the_last_success_is_that_of_the_latest_run() {
    let app = App::new().await;
    app.deliver(JOB).await;
    let of = [("job", JOB)];
    let first = value(&scrape(&app).await, "last_success_timestamp_seconds", &of).unwrap();
    app.deliver(JOB).await;
    let finished = "select extract(epoch from max(finished_at)) * 1000 from job_runs";
    let latest = value(&scrape(&app).await, "last_success_timestamp_seconds", &of).unwrap();
    assert!(latest > first);
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds fit")]
    let reported = (latest * 1000.0).round() as i64;
    assert!((app.count(finished).await - reported).abs() <= 1);
}

#[tokio::test]
async fn silence_pauses_and_alerts_are_figures_too() {
    let app = App::new().await;
    app.execute(&format!(
        "update _sqlx_migrations set installed_on = now() - interval '40 days';
         insert into job_pauses (job) values ('weekly-reports');
         insert into alerts (kind, severity, dedup_key, title, status)
         values ('a \"kind\"\\of'||E'\\n'||'ours', 'high', '1', '', 'open'),
                ('plain', 'info', '2', '', 'acknowledged'), ('plain', 'info', '3', '', 'open'),
                ('plain', 'info', '4', '', 'resolved');
         insert into job_totals (job, kind, total) values ('{JOB}', 'no_longer_counted', 7)"
    ))
    .await;
    let samples = scrape(&app).await;
    assert!(value(&samples, "overdue_seconds", &[("job", JOB)]).unwrap() > 86_400.0);
    let paused = [("job", "weekly-reports")];
    assert_eq!(value(&samples, "overdue_seconds", &paused), Some(0.0));
    assert_eq!(value(&samples, "paused", &paused), Some(1.0));
    let open = |kind, severity| {
        value(
            &samples,
            "alerts_open",
            &[("kind", kind), ("severity", severity)],
        )
    };
    assert_eq!(open("a \"kind\"\\of\nours", "high"), Some(1.0));
    assert_eq!(open("plain", "info"), Some(2.0));
}

#[tokio::test]
async fn a_database_that_is_away_is_a_figure() {
    let app = App::without_a_database().await;
    let samples = scrape(&app).await;
    assert_eq!(value(&samples, "up", &[]), Some(0.0));
    assert_eq!(value(&samples, "ready", &[]), Some(0.0));
    assert_eq!(samples.len(), 2);
}
