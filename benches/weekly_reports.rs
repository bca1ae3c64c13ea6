//! weekly-reports against the bare aggregates it cannot do without, side by
//! side against one private Postgres with its durability on.
//!
//! `cargo bench --bench weekly_reports [GYMS]` prints the median of five
//! rounds, taken in turn. Each gym has 200 members with 1,000 visits in the
//! week and as many in the week before, scores, conversations and alerts;
//! every fourth has a kiosk heard every five minutes.
//!
//! - `bare aggregates`: the same figures of all gyms, one plain statement per
//!   kind, given to psql, timed by the server's own clock, and written
//!   nowhere.
//! - `the job`: delivered over HTTP as QStash would, reports written.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so loudly"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use jarvis_cron::cli::call::{Delivery, new_message_id};
use jarvis_cron::cli::{migrate, serve};
use jarvis_cron::config::Settings;
use jarvis_cron::database::Schema;
use jarvis_cron::demo::postgres::{Auth, PrivatePostgres, Programs};
use jarvis_cron::{http, jobs};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    let asked = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let gyms: u32 = asked.unwrap_or(1_000);
    let programs = Programs::find(&Settings::from_env()).unwrap();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let postgres = PrivatePostgres::start(&programs, home, Auth::Password)
        .await
        .unwrap();
    let database = postgres.url("postgres");
    migrate::apply(database.parse().unwrap(), &Schema::default())
        .await
        .unwrap();
    let mut db = PgConnection::connect(&database).await.unwrap();
    seed(&mut db, gyms).await;
    let service = Service::start(&database).await;

    let (mut bare, mut job) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let by_psql = psql(&programs, &database);
        sqlx::raw_sql("truncate weekly_reports, report_deliveries, system_logs, job_runs")
            .execute(&mut db)
            .await
            .unwrap();
        let by_job = service.report(gyms).await;
        // The first round only warms up.
        if round > 0 {
            bare.push(by_psql);
            job.push(by_job);
        }
    }
    let ratios = job
        .iter()
        .zip(&bare)
        .map(|(job, bare)| job.as_secs_f64() / bare.as_secs_f64());
    println!(
        "{gyms} gyms, {} visits in the week, medians of {ROUNDS} rounds",
        gyms * 1_000
    );
    println!(
        "bare aggregates {:>9.0} ms",
        1e3 * median(bare.iter().map(Duration::as_secs_f64))
    );
    println!(
        "the job         {:>9.0} ms",
        1e3 * median(job.iter().map(Duration::as_secs_f64))
    );
    println!("job / bare = {:.2}", median(ratios));
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

async fn seed(db: &mut PgConnection, gyms: u32) {
    let sql = format!(
        "set session_replication_role = replica; -- two million foreign keys known to be right
         set synchronous_commit = off;
         create function monday() returns timestamptz language sql stable as
            $$ select date_trunc('week', now(), 'Europe/Paris') $$;
         insert into gyms (name, slug, status, created_at)
         select 'Gym ' || n, 'gym-' || n, 'active', now() - interval '2 years' from generate_series(1, {gyms}) n;
         insert into members (gym_id, joined_on)
         select id, current_date - n from gyms, generate_series(1, 200) n;
         insert into visits (gym_id, member_id, checked_in_at)
         select gym_id, id, monday() - (random() * 14) * interval '1 day'
           from members, generate_series(1, 10);
         insert into member_churn_history (member_id, scored_on, gym_id, score, level, model_version)
         select id, (monday() at time zone 'Europe/Paris')::date - 1 - 7 * week, gym_id, score,
                (array['low', 'medium', 'high', 'critical'])[1 + floor(score * 4)::int], 'bench'
           from members, generate_series(0, 1) week, lateral (select random() * 0.999 * (id is not null)::int as score) s;
         insert into conversation_sessions (gym_id, state, started_at, sentiment, sentiment_score, topics)
         select id, 'closed', monday() - (random() * 14) * interval '1 day', 'neutral', random(),
                array['topic ' || n % 9, 'subject ' || n % 7]
           from gyms, generate_series(1, 100) n;
         insert into alerts (gym_id, kind, dedup_key, title, opened_at)
         select id, 'bench', id || ':' || n, 'bench', now() - n * interval '1 day' from gyms, generate_series(1, 10) n;
         insert into kiosks (id, gym_id, slug, name, status, created_at)
         select id, id, slug, 'Desk', 'online', now() - interval '1 year' from gyms where slug like '%0' or slug like '%4';
         insert into kiosk_heartbeats (kiosk_id, received_at)
         select id, beat + interval '1 second'
           from kiosks, generate_series(monday() - interval '14 days', monday(), '5 minutes') beat;"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut *db)
        .await
        .unwrap();
    for sql in ["vacuum analyze", "checkpoint"] {
        sqlx::raw_sql(sql).execute(&mut *db).await.unwrap();
    }
}

/// The same figures, each by the plainest statement, both weeks.
const BARE: [&str; 8] = [
    "select gym_id, date_trunc('hour', checked_in_at at time zone timezone), count(*)
       from visits join gyms on gyms.id = gym_id
      where checked_in_at >= monday() - interval '14 days' and checked_in_at < monday()
      group by 1, 2",
    "select gym_id, checked_in_at >= monday() - interval '7 days', count(distinct member_id)
       from visits
      where checked_in_at >= monday() - interval '14 days' and checked_in_at < monday()
      group by 1, 2",
    "select gym_id, count(*) filter (where joined_on >= current_date - 7),
            count(*) filter (where cancelled_at >= monday() - interval '7 days'), count(*)
       from members group by 1",
    "select gym_id, scored_on, level, count(*)
       from member_churn_history
      where scored_on in ((monday() at time zone 'Europe/Paris')::date - 1, (monday() at time zone 'Europe/Paris')::date - 8)
      group by 1, 2, 3",
    "select gym_id, sentiment, started_at >= monday() - interval '7 days', count(*), avg(sentiment_score)
       from conversation_sessions
      where started_at >= monday() - interval '14 days' and started_at < monday()
      group by 1, 2, 3",
    "select gym_id, topic, count(*)
       from conversation_sessions, unnest(topics) topic
      where started_at >= monday() - interval '7 days' and started_at < monday()
      group by 1, 2",
    "select kiosk_id, received_at >= monday() - interval '7 days', count(distinct date_bin('5 minutes', received_at, '2000-01-01'))
       from kiosk_heartbeats
      where received_at >= monday() - interval '14 days' and received_at < monday()
      group by 1, 2",
    "select gym_id, count(*) from alerts where status = 'open' and opened_at < monday() group by 1",
];

/// Runs the statements in psql; the time psql itself prints, without its start.
fn psql(programs: &Programs, database: &str) -> Duration {
    let mut command = std::process::Command::new(programs.program("psql"));
    command.args([
        "-X",
        "-q",
        "-d",
        database,
        "-c",
        "\\o /dev/null",
        "-c",
        "\\timing on",
    ]);
    for sql in BARE {
        // Only the groups are counted, so that printing them costs nothing.
        command.args(["-c", &format!("select count(*) from ({sql}) bare")]);
    }
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let times: Vec<f64> = printed
        .lines()
        .filter_map(|line| {
            line.strip_prefix("Time: ")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .collect();
    assert_eq!(
        times.len(),
        BARE.len(),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Duration::from_secs_f64(times.iter().sum::<f64>() / 1e3)
}

struct Service {
    url: String,
    settings: Settings,
}

impl Service {
    async fn start(database: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let settings = Settings::none().with([
            ("DATABASE_URL", database),
            ("PUBLIC_URL", &url),
            ("CRON_SECRET", "bench-5f1d8a3e9b7c4d2f6a0e8b1c3d5f7a9b"),
            ("QSTASH_CURRENT_SIGNING_KEY", "sig_bench_current"),
            ("QSTASH_NEXT_SIGNING_KEY", "sig_bench_next"),
        ]);
        let runner = serve::runner(&settings).unwrap();
        let (stop, tasks) = (runner.stop.clone(), runner.tasks.clone());
        let router = http::router(runner, settings.guard(false).unwrap());
        tokio::spawn(http::edge::serve(listener, router, stop, tasks));
        Self { url, settings }
    }

    async fn report(&self, gyms: u32) -> Duration {
        let delivery = Delivery {
            job: jobs::ALL.find("weekly-reports").unwrap(),
            url: self.url.clone(),
            public_url: self.url.clone(),
            body: "{}".to_owned(),
            message_id: new_message_id(),
            cron_secret: self.settings.cron_secret(false).unwrap(),
            signing_key: self.settings.key_ring(false).unwrap().current().clone(),
        };
        let begin = Instant::now();
        let answer = delivery.attempt(0).await.unwrap();
        let time = begin.elapsed();
        assert_eq!(answer.body["results"]["generated"], gyms, "{}", answer.body);
        time
    }
}
