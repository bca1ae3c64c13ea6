//! The way to a Postgres over TLS: what a connect costs, with and without the
//! relay, and the first delivery of a cold process.
//!
//! `cargo bench --bench connect [PROGRAM]` prints medians of [`TIMES`]. The
//! server is a millisecond away ([`ROUND_TRIP`]), as another machine nearby.
//! `PROGRAM` is another build of the service, to be compared with this one.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so loudly"
)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use jarvis_cron::cli::migrate;
use jarvis_cron::config::Settings;
use jarvis_cron::database::{Patience, Pool, Schema, Terms, TxLimits, begin, begin_alone};
use jarvis_cron::demo::postgres::{Auth, PrivatePostgres, Programs};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::process::Command;
use tokio::time::sleep;

mod program;

const TIMES: usize = 21;
const ROUND_TRIP: Duration = Duration::from_millis(1);
const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/tls/ca.pem");
const CERTIFICATE: &str = include_str!("../tests/it/fixtures/tls/server.crt");
const CERTIFICATE_KEY: &str = include_str!("../tests/it/fixtures/tls/server.key");
const PATIENCE: Patience = Patience {
    acquire: Duration::from_secs(5),
    statement: Duration::from_secs(10),
};

#[tokio::main]
async fn main() {
    let programs = Programs::find(&Settings::from_env()).unwrap();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let postgres = PrivatePostgres::start(&programs, home, Auth::Password)
        .await
        .unwrap();
    let near = postgres.url("postgres");
    let terms = Terms {
        schema: Schema::default(),
        patience: PATIENCE,
    };
    migrate::apply(near.parse().unwrap(), &terms.schema)
        .await
        .unwrap();
    switch_tls_on(&near).await;
    let port = away(postgres.port());
    let url = near.replace(&postgres.port().to_string(), &port.to_string());

    println!("{:<34} {:>10} {:>10}", "", "as sqlx", "relayed");
    for mode in ["disable", "require", "verify-full"] {
        let url = format!("{url}?sslmode={mode}&sslrootcert={AUTHORITY}");
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        let alone = median(async || drop(begin_alone(options.clone(), &terms).await.unwrap()));
        let alone = alone.await;
        let pooled = median(async || {
            let pool = Pool::new(options.clone(), None, 1, terms.clone());
            drop(begin(&pool, TxLimits::READ).await.unwrap());
        });
        let pooled = pooled.await;
        println!(
            "{:<34} {alone:>7.1} ms {pooled:>7.1} ms",
            format!("connect, begin, sslmode={mode}")
        );
    }
    let url = format!("{url}?sslmode=verify-full");
    let others = std::env::args().skip(1).filter(|it| !it.starts_with('-'));
    for build in std::iter::once(env!("CARGO_BIN_EXE_jarvis-cron").to_owned()).chain(others) {
        let [start, first, second] = deliveries(&build, &url).await;
        println!(
            "{build}\n  listens after {start:.1} ms; first delivery {first:.1} ms, second {second:.1} ms"
        );
    }
}

/// In milliseconds.
async fn median(of: impl AsyncFn()) -> f64 {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let begin = Instant::now();
        of().await;
        times.push(begin.elapsed());
    }
    middle(times)
}

fn middle(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

/// Medians: how long a new process takes until it listens, and its first and
/// second delivery.
async fn deliveries(build: &str, database: &str) -> [f64; 3] {
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..TIMES {
        let address = program::free_address();
        let begin = Instant::now();
        let mut command = Command::new(build);
        command
            .arg("serve")
            .env_clear()
            .env("DATABASE_CA_CERT", AUTHORITY)
            .env("RUST_LOG", "error");
        let _process = program::serve(&mut command, &address, database);
        while TcpStream::connect(&address).is_err() {
            sleep(Duration::from_millis(1)).await;
        }
        times[0].push(begin.elapsed());
        for times in &mut times[1..] {
            let delivery = program::delivery("health-check-kiosks", &address);
            let begin = Instant::now();
            assert!(delivery.attempt(0).await.unwrap().is_success());
            times.push(begin.elapsed());
        }
    }
    times.map(middle)
}

async fn switch_tls_on(database: &str) {
    let mut db = PgConnection::connect(database).await.unwrap();
    let files = format!(
        "copy (select unnest(string_to_array('{CERTIFICATE}', e'\\n'))) to program 'cat > server.crt';
         copy (select unnest(string_to_array('{CERTIFICATE_KEY}', e'\\n'))) to program 'umask 077; cat > server.key'",
    );
    db.execute(AssertSqlSafe(files)).await.unwrap();
    db.execute("alter system set ssl = on").await.unwrap();
    db.execute("select pg_reload_conf()").await.unwrap();
    sleep(Duration::from_millis(500)).await;
}

/// The port of a way to the server on `port` that takes half of [`ROUND_TRIP`]
/// each way. Threads, because the runtime's clock counts whole milliseconds.
fn away(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let way = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            let (asks, answers) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || pass(client, asks));
            thread::spawn(move || pass(server, answers));
        }
    });
    way
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        thread::sleep(ROUND_TRIP / 2);
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
