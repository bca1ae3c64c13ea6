//! The account that a private server runs under, and its end with this process.
//!
//! PostgreSQL and PgBouncer refuse to run as root, so root lends them an
//! unprivileged name. A shell runs between them and us: it waits for the
//! end of our pipe, which comes also when this process is killed, then stops
//! the server and removes its files.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;

/// The longest path of a unix socket, less its file name.
const LONGEST_SOCKET_FOLDER: usize = 85;

/// Runs a server, waits for the end of standard input, stops the server.
const KEEPER: &str = r#"
files=$1; shift
"$@" >"$files/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -QUIT "$server"
wait "$server"
rm -rf "$files"/*
"#;

/// A user of this machine.
#[derive(Debug, Clone, Copy)]
pub enum Account {
    /// Our own.
    Ours,
    /// An unprivileged user's, because we are root.
    Other {
        /// The user.
        uid: u32,
        /// Its group.
        gid: u32,
    },
}

impl Account {
    /// Ours; for root, `postgres` or `nobody`.
    ///
    /// # Errors
    /// When we are root and there is neither.
    pub fn for_servers() -> anyhow::Result<Self> {
        let id = Command::new("id")
            .arg("-u")
            .output()
            .context("ask who we are")?;
        if id.stdout.trim_ascii() != b"0" {
            return Ok(Self::Ours);
        }
        let users = fs::read_to_string("/etc/passwd").context("read the users")?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| {
                let user = users
                    .lines()
                    .find(|line| line.split(':').next() == Some(name))?;
                let mut ids = user.split(':').skip(2).map(str::parse);
                Some(Self::Other {
                    uid: ids.next()?.ok()?,
                    gid: ids.next()?.ok()?,
                })
            })
            .context("PostgreSQL does not run as root, and there is no user postgres or nobody")
    }

    /// Makes a folder for a server below `home`, or in the temporary folder
    /// where this account cannot reach it.
    ///
    /// # Errors
    /// When neither can be written.
    pub fn make_folder(self, home: &Path) -> anyhow::Result<PathBuf> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("server-{}-{number}", std::process::id());
        fs::create_dir_all(home).with_context(|| format!("make {}", home.display()))?;
        let home = fs::canonicalize(home)?;
        let folder = if self.can_reach(&home) {
            home.join(name)
        } else {
            std::env::temp_dir().join(format!("jarvis-cron-{name}"))
        };
        fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
        self.own(&folder)?;
        Ok(folder)
    }

    /// Gives a file to this account.
    ///
    /// # Errors
    /// When it is not ours to give.
    pub fn own(self, path: &Path) -> anyhow::Result<()> {
        if let Self::Other { uid, gid } = self {
            chown(path, Some(uid), Some(gid))
                .with_context(|| format!("give away {}", path.display()))?;
        }
        Ok(())
    }

    /// Runs `program` under this account.
    #[must_use]
    pub fn command(self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        if let Self::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Runs a server until the pipe of the child that is returned ends; its
    /// output goes to `log` in `files`.
    ///
    /// # Errors
    /// When there is no shell.
    pub fn keep(self, server: &Path, arguments: &[String], files: &Path) -> anyhow::Result<Child> {
        self.command("sh".into())
            .args(["-c", KEEPER, "keeper"])
            .arg(files)
            .arg(server)
            .args(arguments)
            .current_dir(files)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for us: the server ends after the last request.
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {}", server.display()))
    }

    fn can_reach(self, folder: &Path) -> bool {
        let Self::Other { uid, .. } = self else {
            return true;
        };
        folder.ancestors().all(|folder| {
            fs::metadata(folder)
                .is_ok_and(|folder| folder.mode() & 0o001 != 0 || folder.uid() == uid)
        })
    }
}

/// Where a server's sockets go: its own folder, unless the path is too long
/// for a socket.
#[must_use]
pub fn socket_folder(files: &Path) -> PathBuf {
    if files.as_os_str().len() <= LONGEST_SOCKET_FOLDER {
        files.to_owned()
    } else {
        std::env::temp_dir()
    }
}
