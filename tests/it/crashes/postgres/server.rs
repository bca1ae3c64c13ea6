//! A Postgres of a test's own: it crashes when it is told to, and comes back
//! on the same port with the same files.
//!
//! What a commit waited for survives a crash; what it did not wait for is
//! lost, for certain: the log is written by those who wait for it alone,
//! because the server has no vacuum and no checkpoint, and its WAL writer is
//! stopped. It runs without `fsync`, because the machine does not crash.
//! The files are copies of one migrated server's. Only the port is shared with
//! other servers of this machine, and each claims its own.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use jarvis_cron::cli::migrate;
use jarvis_cron::config::Settings;
use jarvis_cron::demo::postgres::Programs;
use jarvis_cron::demo::postgres::account::Account;
use sqlx::{Connection, PgConnection};
use tokio::task::block_in_place;

use crate::database;
use crate::processes::until;

/// The line of `postmaster.pid` that says what the server is doing.
const STATUS_LINE: usize = 7;

/// A running server, or one that has crashed.
pub(super) struct Server {
    keeper: Keeper,
    port: u16,
    /// Keeps others off the port while the server is down.
    _claim: TcpListener,
}

impl Server {
    /// One with the migrated schema in its database `postgres`.
    pub(super) async fn start() -> Self {
        let mut server = block_in_place(|| Self::copied(&[]));
        server.come_back().await;
        let writer = server.wal_writer().await;
        server.keeper.order(&format!("freeze {writer}"));
        server
    }

    /// One whose log a standby may follow, and loses no more than that lacks.
    pub(super) async fn replicated() -> Self {
        let mut server = block_in_place(|| Self::copied(&REPLICATED));
        server.come_back().await;
        server
    }

    /// Whether there is the program that makes a standby.
    pub(super) fn can_be_copied() -> bool {
        program("pg_basebackup").exists()
    }

    /// A standby that follows it, and answers questions meanwhile.
    pub(super) async fn standby(&self) -> Self {
        let mut standby = block_in_place(|| {
            let standby = Self::down(&REPLICATED);
            let mut copy = Account::for_servers()
                .unwrap()
                .command(program("pg_basebackup"));
            let copied = copy
                .args(["-R", "-X", "stream", "-c", "fast", "--no-sync"])
                .args(["-U", "postgres", "-h", "127.0.0.1"])
                .args(["-p", &self.port.to_string(), "-D"])
                .arg(standby.keeper.files.join("data"))
                .current_dir(&standby.keeper.files)
                .output()
                .unwrap();
            assert!(copied.status.success(), "pg_basebackup: {copied:?}");
            standby
        });
        standby.come_back().await;
        standby
    }

    /// Stops it as `pg_ctl stop -m immediate` does, and waits until it is gone.
    pub(super) fn crash(&mut self) {
        block_in_place(|| self.keeper.order("QUIT"));
    }

    /// Starts it again, and waits until it has recovered.
    pub(super) async fn come_back(&mut self) {
        self.keeper.order("start");
        // Asking the server would cost it a process each time.
        let note = self.keeper.files.join("data/postmaster.pid");
        let is_up = async || {
            let note = std::fs::read_to_string(&note).unwrap_or_default();
            let status = note.lines().nth(STATUS_LINE).map(str::trim_end);
            matches!(status, Some("ready" | "standby"))
        };
        until("the private server is up", is_up).await;
    }

    /// The address of its database.
    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Before its first start, with the template's files.
    fn copied(settings: &[&str]) -> Self {
        let server = Self::down(settings);
        let mut copy = Account::for_servers().unwrap().command("cp".into());
        copy.arg("-Rp").arg(template().join("data"));
        let copied = copy.arg(&server.keeper.files).status().unwrap();
        assert!(copied.success(), "cp: {copied}");
        server
    }

    /// Before its first start, without files.
    fn down(settings: &[&str]) -> Self {
        let (port, claim) = claim();
        Self {
            keeper: Keeper::new(port, settings),
            port,
            _claim: claim,
        }
    }

    async fn wal_writer(&self) -> i32 {
        let mut connection = PgConnection::connect(&self.url()).await.unwrap();
        loop {
            let found = sqlx::query_scalar(
                "select pid from pg_stat_activity where backend_type = 'walwriter'",
            )
            .fetch_optional(&mut connection)
            .await
            .unwrap();
            if let Some(writer) = found {
                return writer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The files of a server that was migrated and stopped.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<Keeper> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| {
        // A runtime of its own, because the tests' runtimes come and go.
        let made = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build();
            runtime.unwrap().block_on(make_template())
        });
        made.join().unwrap()
    });
    &template.files
}

async fn make_template() -> Keeper {
    let mut server = Server::down(&[]);
    let files = &server.keeper.files;
    let mut init = Account::for_servers().unwrap().command(program("initdb"));
    let made = init
        .args(["--username=postgres", "--encoding=UTF8", "--no-locale"])
        .args(["--no-sync", "--auth=trust", "--wal-segsize=1", "--pgdata"])
        .arg(files.join("data"))
        .current_dir(files)
        .output()
        .unwrap();
    assert!(made.status.success(), "initdb: {made:?}");
    server.come_back().await;
    let url = server.url().parse().unwrap();
    migrate::apply(url, &database::schema()).await.unwrap();
    server.keeper.order("INT");
    server.keeper
}

/// A port, and what claims it: the next port. Both are below those that the
/// system gives to outgoing connections.
fn claim() -> (u16, TcpListener) {
    let mut pairs = (20_000..30_000).step_by(2).filter_map(|port| {
        let claim = TcpListener::bind(("127.0.0.1", port + 1)).ok()?;
        TcpListener::bind(("127.0.0.1", port)).ok()?;
        Some((port, claim))
    });
    pairs.next().expect("no port is free")
}

fn program(name: &str) -> PathBuf {
    let programs = Programs::find(&Settings::from_env()).unwrap();
    programs.program(name)
}

/// A shell that runs the server, under an account that may.
struct Keeper {
    shell: Child,
    done: BufReader<ChildStdout>,
    files: PathBuf,
}

/// Does what it is told. At the end of its input, which comes also when this
/// process is killed, it stops the server and removes the files.
const KEEPER: &str = r#"
files=$1; shift
end() {
    kill -s "$1" "$server"
    [ -z "$writer" ] || kill -s KILL "$writer"
    wait "$server"
    server= writer=
}
while read -r order process; do
    case $order in
    start) "$@" >>"$files/log" 2>&1 </dev/null & server=$! ;;
    freeze) writer=$process; kill -s STOP "$writer" ;;
    *) end "$order" ;;
    esac
    echo done
done
[ -z "$server" ] || end QUIT
rm -rf "$files"/*
"#;

/// What makes a crash lose all that may be lost, and costs no time.
const SETTINGS: [&str; 14] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "timezone=UTC",
    "max_connections=40",
    "shared_buffers=32MB",
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "wal_buffers=16MB",
    "wal_writer_delay=10s",
    "checkpoint_timeout=1d",
    "bgwriter_lru_maxpages=0",
    "autovacuum=off",
];

/// The later setting counts.
const REPLICATED: [&str; 3] = [
    "wal_level=replica",
    "max_wal_senders=4",
    "wal_writer_delay=10ms",
];

impl Keeper {
    /// Of a server on that port, with these settings too; not started.
    fn new(port: u16, more: &[&str]) -> Self {
        let account = Account::for_servers().unwrap();
        let files = account.make_folder(&database::home()).unwrap();
        let settings = SETTINGS
            .iter()
            .chain(more)
            .flat_map(|setting| ["-c", setting]);
        let mut shell = account
            .command("sh".into())
            .args(["-c", KEEPER, "keeper"])
            .arg(&files)
            .arg(program("postgres"))
            .arg("-D")
            .arg(files.join("data"))
            .args(["-p", &port.to_string()])
            .args(settings)
            .current_dir(&files)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let done = BufReader::new(shell.stdout.take().unwrap());
        Self { shell, done, files }
    }

    /// Gives an order, and waits until it is carried out.
    fn order(&mut self, order: &str) {
        let mut orders = self.shell.stdin.as_ref().unwrap();
        writeln!(orders, "{order}").unwrap();
        let mut done = String::new();
        self.done.read_line(&mut done).unwrap();
        assert_eq!(done, "done\n", "{order}");
    }
}

impl Drop for Keeper {
    /// Waits until the server and its files are gone.
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
        let _ = std::fs::remove_dir_all(&self.files);
    }
}
