//! PgBouncer before the server of the tests.

use std::net::TcpListener;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use jarvis_cron::demo::postgres::account::Account;

use crate::roles;

pub(crate) struct Pooler {
    pub(crate) port: u16,
    _keeper: Child,
}

impl Pooler {
    /// Debian's PgBouncer keeps no prepared statements: the strictest there is.
    #[expect(
        clippy::zombie_processes,
        reason = "it ends with this process, as its pipe does"
    )]
    pub(crate) fn start(program: &Path, postgres: u16, mode: &str) -> Self {
        let account = Account::for_servers().unwrap();
        let files = account
            .make_folder(Path::new(env!("CARGO_TARGET_TMPDIR")))
            .unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let (ini, users) = (files.join("pgbouncer.ini"), files.join("users"));
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={postgres}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {users}\npool_mode = {mode}\n\
             ignore_startup_parameters = extra_float_digits\n\
             max_client_conn = 2000\ndefault_pool_size = 8\nserver_idle_timeout = 5\n",
            users = users.display(),
        );
        std::fs::write(&ini, settings).unwrap();
        let role = roles::least().unwrap_or_default();
        std::fs::write(&users, format!("\"postgres\" \"\"\n\"{role}\" \"\"\n")).unwrap();
        for file in [&ini, &users] {
            account.own(file).unwrap();
        }
        let arguments = [ini.display().to_string()];
        let keeper = account.keep(program, &arguments, &files).unwrap();
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Self {
                    port,
                    _keeper: keeper,
                };
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = std::fs::read_to_string(files.join("log")).unwrap_or_default();
        panic!("PgBouncer did not come up: {log}");
    }
}
