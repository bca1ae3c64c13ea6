//! Floods without a credential, one after the other, against the real program
//! with `ulimit -n 256`, and a delivery with both credentials every half second
//! meanwhile.
//!
//! `cargo bench --bench floods [SECONDS]` prints, for each flood of so many
//! seconds (10 if not given): the most memory (`VmHWM`) and descriptors that
//! the service had, how much it logged, and how long the slowest delivery took
//! to be done, its retries included. What comes from one machine over loopback
//! is a harder flood than a network lets through, but shares the processors
//! with what it floods.
//!
//! - `idle connections`: 5,000 callers who say nothing, again and again.
//! - `large heads`: 1,000 callers with 400 kB of headers each.
//! - `slow readers`: 300 callers who ask and ask, and read no answer.
//! - `refusals`: 64 callers who want 10,000 answers a second, paths of 8 kB.
//! - `unsigned bodies`: 300 callers with `CRON_SECRET`, no signature, and 2 MB.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot run should say so loudly"
)]

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use jarvis_cron::cli::migrate;
use jarvis_cron::config::Settings;
use jarvis_cron::database::Schema;
use jarvis_cron::demo::postgres::{Auth, PrivatePostgres, Programs};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::sleep;

mod program;

use program::CRON_SECRET;

const REFUSALS_A_SECOND: u64 = 10_000;

#[tokio::main]
async fn main() {
    let asked = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok());
    let time = Duration::from_secs(asked.unwrap_or(10));
    let hard = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: hard,
        maximum: hard,
    };
    setrlimit(Resource::Nofile, all).unwrap();
    let service = Service::start().await;

    println!(
        "{:<18} {:>9} {:>12} {:>9} {:>11} {:>10} {:>9}",
        "", "VmHWM", "descriptors", "logged", "deliveries", "slowest", "retries"
    );
    service.under("no flood", time, 0, |_| async {}).await;
    service.under("idle connections", time, 5_000, idle).await;
    service.under("large heads", time, 1_000, large_head).await;
    service.under("slow readers", time, 300, slow_reader).await;
    let answers = Arc::new(AtomicU64::new(0));
    let counted = answers.clone();
    let flood = move |address| refused(address, counted.clone());
    service.under("refusals", time, 64, flood).await;
    service
        .under("unsigned bodies", time, 300, unsigned_body)
        .await;
    service.under("after all", time, 0, |_| async {}).await;
    let rate = answers.load(Relaxed) / time.as_secs();
    println!("refusals answered a second: {rate}");
}

async fn idle(address: String) {
    let Ok(mut stream) = TcpStream::connect(&address).await else {
        return;
    };
    let _ = stream.read_u8().await;
}

async fn large_head(address: String) {
    let Ok(mut stream) = TcpStream::connect(&address).await else {
        return;
    };
    let field = format!("x: {}\r\n", "a".repeat(4_000)).repeat(100);
    let _ = stream.write_all(b"GET / HTTP/1.1\r\n").await;
    let _ = stream.write_all(field.as_bytes()).await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

async fn slow_reader(address: String) {
    let Ok(mut stream) = TcpStream::connect(&address).await else {
        return;
    };
    let asked = "GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100);
    while stream.write_all(asked.as_bytes()).await.is_ok() {}
}

async fn refused(address: String, answers: Arc<AtomicU64>) {
    const CALLERS: u64 = 64;
    let Ok(mut stream) = TcpStream::connect(&address).await else {
        return;
    };
    let path = "p".repeat(8_000);
    let asked =
        format!("POST /api/cron/{path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer a\r\n\r\n");
    let mut answer = vec![0; 4096];
    loop {
        let begin = Instant::now();
        if stream.write_all(asked.as_bytes()).await.is_err() {
            return;
        }
        // An answer is shorter than what can be read at once.
        match stream.read(&mut answer).await {
            Ok(length) if length > 0 => answers.fetch_add(1, Relaxed),
            _ => return,
        };
        let pause = Duration::from_secs(1) * u32::try_from(CALLERS).unwrap()
            / u32::try_from(REFUSALS_A_SECOND).unwrap();
        sleep(pause.saturating_sub(begin.elapsed())).await;
    }
}

async fn unsigned_body(address: String) {
    let Ok(mut stream) = TcpStream::connect(&address).await else {
        return;
    };
    let body = vec![b' '; 2_000_000];
    let head = format!(
        "POST /api/qstash/failures HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {CRON_SECRET}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// The service in a process of its own, and its database.
struct Service {
    address: String,
    process: Child,
    log: PathBuf,
    _postgres: PrivatePostgres,
}

impl Service {
    async fn start() -> Self {
        let programs = Programs::find(&Settings::from_env()).unwrap();
        let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let postgres = PrivatePostgres::start(&programs, home, Auth::Password)
            .await
            .unwrap();
        let database = postgres.url("postgres");
        migrate::apply(database.parse().unwrap(), &Schema::default())
            .await
            .unwrap();
        let log = home.join("floods.log");
        let address = program::free_address();
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"ulimit -n 256; exec "$0" serve"#])
            .arg(env!("CARGO_BIN_EXE_jarvis-cron"))
            .env_clear()
            .stderr(fs::File::create(&log).unwrap());
        let process = program::serve(&mut command, &address, &database);
        while TcpStream::connect(&address).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
        Self {
            address,
            process,
            log,
            _postgres: postgres,
        }
    }

    /// Floods it for so long with so many callers, each of whom calls again
    /// when they are cut off, and prints what that does to it.
    async fn under<F: Future<Output = ()> + Send + 'static>(
        &self,
        name: &str,
        time: Duration,
        callers: usize,
        call: impl Fn(String) -> F + Clone + Send + 'static,
    ) {
        let of_process = |file| format!("/proc/{}/{file}", self.process.id().unwrap());
        // Begins a new high-water mark.
        fs::write(of_process("clear_refs"), "5").unwrap();
        let logged = || fs::metadata(&self.log).unwrap().len();
        let logged_before = logged();
        let mut flood = JoinSet::new();
        for _ in 0..callers {
            let (call, address) = (call.clone(), self.address.clone());
            flood.spawn(async move {
                loop {
                    call(address.clone()).await;
                    sleep(Duration::from_millis(10)).await;
                }
            });
        }
        let (mut deliveries, mut slowest, mut retries, mut descriptors) = (0, Duration::ZERO, 0, 0);
        let begin = Instant::now();
        while begin.elapsed() < time {
            let (took, again) = self.deliver().await;
            deliveries += 1;
            slowest = slowest.max(took);
            retries += again;
            descriptors = descriptors.max(fs::read_dir(of_process("fd")).unwrap().count());
            sleep(Duration::from_millis(500)).await;
        }
        flood.shutdown().await;
        let status = fs::read_to_string(of_process("status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        println!(
            "{name:<18} {:>6} MB {descriptors:>12} {:>6} kB {deliveries:>11} {:>7} ms {retries:>9}",
            kilobytes / 1_000,
            (logged() - logged_before) / 1_000,
            slowest.as_millis()
        );
    }

    /// Delivers until it is done; how long that took, and the retries.
    async fn deliver(&self) -> (Duration, u32) {
        let delivery = program::delivery("expire-stale-orders", &self.address);
        let begin = Instant::now();
        let mut retries = 0;
        while !delivery
            .attempt(retries)
            .await
            .is_ok_and(|answer| answer.is_success())
        {
            retries += 1;
        }
        (begin.elapsed(), retries)
    }
}
