//! The way to a database over TLS: a socket inside this process, and behind it
//! a TCP connection whose options are ours.
//!
//! sqlx 0.9.0 opens its sockets itself and lets Nagle's algorithm hold back two
//! messages of each TLS connect, until the server's delayed acknowledgement
//! (launchbadge/sqlx#4335: fixed, and not released yet). So it connects to a
//! Unix socket of the relay, which passes the bytes on at once. They are
//! encrypted already: the relay reads nothing of them. Only this process may
//! connect. With a release that has the fix, this file goes.

use std::io::{self, ErrorKind};
use std::time::Duration;

use rustix::net::sockopt;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

/// How long a connection may be idle until its server is asked whether it
/// lives, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long the server may leave what was sent without acknowledgement.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a connect that was refused waits for the next try.
const PAUSE: Duration = Duration::from_millis(50);

/// Takes new connections until it is dropped; those that are there stay.
pub(super) struct Relay(AbortHandle);

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Has `options` lead through a relay, where they insist on TLS. A connect may
/// take so long.
pub(super) fn relayed(
    options: PgConnectOptions,
    patience: Duration,
) -> (PgConnectOptions, Option<Relay>) {
    use PgSslMode::{Require, VerifyCa, VerifyFull};
    let is_tls = matches!(options.get_ssl_mode(), Require | VerifyCa | VerifyFull);
    let is_tcp = options.get_socket().is_none() && !options.get_host().starts_with('/');
    if !(is_tls && is_tcp && cfg!(target_os = "linux")) {
        return (options, None);
    }
    // A name that begins with NUL is in no directory, and is free again with the
    // last socket that has it. sqlx puts the port behind it.
    let name = format!("\0jarvis-cron-{}", Uuid::new_v4());
    let listener = match UnixListener::bind(format!("{name}/.s.PGSQL.{}", options.get_port())) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(%error, "Failed to open the relay to the database; connecting without it");
            return (options, None);
        }
    };
    let address = (options.get_host().to_owned(), options.get_port());
    let relay = tokio::spawn(take_all(listener, address, patience));
    (options.socket(name), Some(Relay(relay.abort_handle())))
}

async fn take_all(listener: UnixListener, address: (String, u16), patience: Duration) {
    loop {
        match listener.accept().await {
            Ok((client, _)) if is_ours(&client) => {
                tokio::spawn(pass(client, address.clone(), patience));
            }
            Ok(_) => tracing::warn!("Refused another process at the relay to the database"),
            // Out of descriptors, most likely: others will be freed.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

fn is_ours(client: &UnixStream) -> bool {
    let pid = client.peer_cred().ok().and_then(|peer| peer.pid());
    pid.and_then(|pid| u32::try_from(pid).ok()) == Some(std::process::id())
}

/// An end of one side is passed on as such, an error as the end of both.
async fn pass(mut client: UnixStream, address: (String, u16), patience: Duration) {
    match connect(&address, patience).await {
        Ok(mut server) => drop(copy_bidirectional(&mut client, &mut server).await),
        Err(error) => tracing::warn!(%error, "Failed to connect to the database"),
    }
}

/// Connects, again and again where a server is starting.
async fn connect((host, port): &(String, u16), patience: Duration) -> io::Result<TcpStream> {
    let until = Instant::now() + patience;
    loop {
        match timeout_at(until, TcpStream::connect((host.as_str(), *port))).await? {
            Ok(server) => {
                set_options(&server)?;
                return Ok(server);
            }
            Err(error)
                if error.kind() == ErrorKind::ConnectionRefused
                    && Instant::now() + PAUSE < until =>
            {
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn set_options(server: &TcpStream) -> io::Result<()> {
    server.set_nodelay(true)?;
    sockopt::set_socket_keepalive(server, true)?;
    sockopt::set_tcp_keepidle(server, KEEP_ALIVE)?;
    sockopt::set_tcp_keepintvl(server, KEEP_ALIVE / 4)?;
    sockopt::set_tcp_keepcnt(server, 4)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(
        server,
        u32::try_from(SILENCE.as_millis()).unwrap_or(u32::MAX),
    )?;
    Ok(())
}
