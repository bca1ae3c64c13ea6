//! A private Postgres: for the demo and the tests, gone when they end.
//!
//! Listens on loopback and a socket of its own. The account it runs under, and
//! that it ends with this process, is [`account`]'s business.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use sqlx::{Connection, PgConnection};

use crate::config::Settings;

pub mod account;

use account::Account;

/// How long the server may take to come up.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Where PostgreSQL's server programs are.
#[derive(Debug, Clone)]
pub struct Programs(PathBuf);

/// Who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Those who know a password made for this once.
    Password,
    /// Every user of this machine, durability off: for tests.
    Trust,
}

/// A running server.
#[derive(Debug)]
pub struct PrivatePostgres {
    keeper: Child,
    files: PathBuf,
    port: u16,
    password: String,
}

impl Programs {
    /// Finds them: `PG_BIN`, the search path, Debian's and Homebrew's places.
    ///
    /// # Errors
    /// When there are none.
    pub fn find(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(bin) = settings.postgres_programs() {
            let bin = PathBuf::from(bin);
            ensure!(
                bin.join("initdb").exists(),
                "PG_BIN names a folder without initdb"
            );
            return Ok(Self(bin));
        }
        let mut places: Vec<PathBuf> = settings.path().split(':').map(PathBuf::from).collect();
        for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
            let mut versions: Vec<PathBuf> = fs::read_dir(parent)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| {
                    parent.ends_with("postgresql") || path.to_string_lossy().contains("/postgresql")
                })
                .collect();
            versions.sort();
            places.extend(
                versions
                    .into_iter()
                    .rev()
                    .map(|version| version.join("bin")),
            );
        }
        // A search path may hold links to some of the programs only.
        let real = |place: PathBuf| fs::canonicalize(place.join("initdb")).ok();
        places
            .into_iter()
            .filter_map(real)
            .filter_map(|initdb| Some(initdb.parent()?.to_owned()))
            .find(|bin| bin.join("postgres").exists())
            .map(Self)
            .context(
                "PostgreSQL's server programs are not found; bin/demo and bin/test install them, \
                 or set PG_BIN to their folder",
            )
    }
}

impl Programs {
    /// One of them by its name, such as `psql`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl PrivatePostgres {
    /// Starts one with its files below `home`, or in the temporary folder
    /// when the server's user cannot reach `home`.
    ///
    /// # Errors
    /// When it will not start; its log is quoted.
    pub async fn start(programs: &Programs, home: &Path, auth: Auth) -> anyhow::Result<Self> {
        let account = Account::for_servers()?;
        let files = account.make_folder(home)?;
        let password = uuid::Uuid::new_v4().simple().to_string();
        init(programs, account, &files, &password, auth)?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let keeper = serve(programs, account, &files, port, auth)?;
        let server = Self {
            keeper,
            files,
            port,
            password,
        };
        server.wait().await?;
        Ok(server)
    }

    /// The address of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    async fn wait(&self) -> anyhow::Result<()> {
        let up = async {
            while PgConnection::connect(&self.url("postgres")).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(START_TIMEOUT, up).await.is_err() {
            let log = fs::read_to_string(self.files.join("log")).unwrap_or_default();
            bail!("the private Postgres did not come up; its log says:\n{log}");
        }
        Ok(())
    }
}

impl Drop for PrivatePostgres {
    /// Ends the pipe and waits until the server is gone.
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        let _ = fs::remove_dir_all(&self.files);
    }
}

fn init(
    programs: &Programs,
    account: Account,
    files: &Path,
    password: &str,
    auth: Auth,
) -> anyhow::Result<()> {
    let password_file = files.join("password");
    fs::write(&password_file, password)?;
    account.own(&password_file)?;
    let auth = if auth == Auth::Password {
        "scram-sha-256"
    } else {
        "trust"
    };
    let output = account
        .command(programs.program("initdb"))
        .args([
            "--username=postgres",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ])
        .arg(format!("--auth={auth}"))
        .arg("--pwfile")
        .arg(&password_file)
        .arg("--pgdata")
        .arg(files.join("data"))
        .current_dir(files)
        .output()
        .context("run initdb")?;
    ensure!(
        output.status.success(),
        "initdb failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn serve(
    programs: &Programs,
    account: Account,
    files: &Path,
    port: u16,
    auth: Auth,
) -> anyhow::Result<Child> {
    let sockets = account::socket_folder(files);
    let mut arguments = vec![
        "-D".to_owned(),
        files.join("data").display().to_string(),
        "-p".to_owned(),
        port.to_string(),
    ];
    let sockets = format!("unix_socket_directories={}", sockets.display());
    let mut settings = vec![
        "listen_addresses=127.0.0.1",
        "max_connections=200",
        "timezone=UTC",
        &sockets,
    ];
    if auth == Auth::Trust {
        settings.extend(["fsync=off", "full_page_writes=off"]);
    }
    for setting in settings {
        arguments.extend(["-c".to_owned(), setting.to_owned()]);
    }
    account.keep(&programs.program("postgres"), &arguments, files)
}
