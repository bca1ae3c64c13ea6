//! A way between the service and Postgres that goes bad: cut, reset, silent,
//! stalled in the middle of an answer, or leading to another server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::database::schema;

/// What happens to connections that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Closed, as a restart of a pooler does.
    Cut,
    /// Reset, as a firewall does.
    Reset,
    /// Silent for ever, as a host that vanished.
    Silent,
    /// The next answer stops after its first bytes.
    Stalled,
}

/// The way; new connections are always well.
pub(crate) struct Way {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    port: AtomicU16,
    /// The generation of connections that went bad last, and how.
    bad: watch::Sender<(usize, Option<Fault>)>,
    replaced_begin: Mutex<Option<String>>,
    last_words: Mutex<Option<Vec<u8>>>,
    ends_with_a_commit: AtomicBool,
    drops_parameters: AtomicBool,
}

impl Way {
    /// A way to the database at `url`.
    pub(crate) async fn to(url: &str) -> Self {
        let mut url = url::Url::parse(url).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            port: url.port().unwrap().into(),
            bad: watch::Sender::new((0, None)),
            replaced_begin: Mutex::default(),
            last_words: Mutex::default(),
            ends_with_a_commit: AtomicBool::default(),
            drops_parameters: AtomicBool::default(),
        });
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port()))
            .unwrap();
        let found = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&found);
                tokio::spawn(async move { shared.pass(client).await });
            }
        });
        let url = url.into();
        Self { url, shared }
    }

    /// All connections that are there go bad.
    pub(crate) fn break_all(&self, fault: Fault) {
        let bad = &self.shared.bad;
        bad.send_modify(|(generation, now)| (*generation, *now) = (*generation + 1, Some(fault)));
    }

    /// New connections lead to another server.
    pub(crate) fn lead_to(&self, port: u16) {
        self.shared.port.store(port, Ordering::Relaxed);
    }

    /// The next transaction begins with these words instead.
    pub(crate) fn replace_begin(&self, words: &'static str) {
        let schema = schema();
        let begin = format!("begin; set local search_path = {};", schema.name());
        *self.shared.replaced_begin.lock() = Some(words.replace("begin;", &begin));
    }

    /// The next transaction is answered with a fatal error, and its connection
    /// closed, as a pooler does.
    pub(crate) fn end_begin(&self, code: &str, message: &str) {
        let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap();
        let words = [b"E", &length.to_be_bytes()[..], fields.as_bytes()].concat();
        *self.shared.last_words.lock() = Some(words);
    }

    /// The next connection that commits is silent after the answer.
    pub(crate) fn be_silent_after_a_commit(&self) {
        self.shared
            .ends_with_a_commit
            .store(true, Ordering::Relaxed);
    }

    /// The server does not hear what new connections ask for at their start,
    /// as behind some poolers.
    pub(crate) fn drop_start_up_parameters(&self) {
        self.shared.drops_parameters.store(true, Ordering::Relaxed);
    }

    /// Whether what was asked for last was done.
    pub(crate) fn has_replaced(&self) -> bool {
        let shared = &self.shared;
        shared.replaced_begin.lock().is_none()
            && shared.last_words.lock().is_none()
            && !shared.ends_with_a_commit.load(Ordering::Relaxed)
    }
}

impl Shared {
    async fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        let mut bad = self.bad.subscribe();
        let born = bad.borrow_and_update().0;
        let port = self.port.load(Ordering::Relaxed);
        let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
        let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let (mut is_stalling, mut has_ended) = (false, false);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => match read? {
                    0 => return Ok(()),
                    _ if has_ended => return std::future::pending().await,
                    length => {
                        let words = &asked[..length];
                        if let Some(last) = begins(words).then(|| self.last_words.lock().take()).flatten() {
                            return client.write_all(&last).await;
                        }
                        has_ended = words.starts_with(b"Q") && words[5..].starts_with(b"commit")
                            && self.ends_with_a_commit.swap(false, Ordering::Relaxed);
                        server.write_all(&self.said(words)).await?;
                    }
                },
                read = server.read(&mut answered) => match read? {
                    0 => return Ok(()),
                    length if is_stalling => {
                        client.write_all(&answered[..length.min(3)]).await?;
                        return std::future::pending().await;
                    }
                    length => client.write_all(&answered[..length]).await?,
                },
                _ = bad.changed() => {
                    let (generation, fault) = *bad.borrow_and_update();
                    match fault.filter(|_| generation > born) {
                        Some(Fault::Cut) => return Ok(()),
                        Some(Fault::Reset) => return client.set_zero_linger(),
                        Some(Fault::Silent) => return std::future::pending().await,
                        Some(Fault::Stalled) => is_stalling = true,
                        None => {}
                    }
                }
            }
        }
    }

    /// What the server hears of what the client said.
    fn said(&self, words: &[u8]) -> Vec<u8> {
        let replaced = begins(words)
            .then(|| self.replaced_begin.lock().take())
            .flatten();
        let Some(words) = replaced else {
            let is_start = words.get(4..8) == Some(&START_UP.to_be_bytes());
            return if is_start && self.drops_parameters.load(Ordering::Relaxed) {
                without_parameters(words)
            } else {
                words.to_vec()
            };
        };
        let length = u32::try_from(words.len() + 5).unwrap();
        [b"Q", &length.to_be_bytes()[..], words.as_bytes(), b"\0"].concat()
    }
}

/// Version 3.0 of the protocol, by which a start-up message is known.
const START_UP: u32 = 3 << 16;

/// A start-up message with nothing but user and database.
fn without_parameters(words: &[u8]) -> Vec<u8> {
    let texts: Vec<&[u8]> = words[8..].split(|byte| *byte == 0).collect();
    let kept = texts.chunks_exact(2);
    let kept = kept.filter(|pair| [&b"user"[..], b"database"].contains(&pair[0]));
    let fields: Vec<u8> = kept
        .flat_map(|pair| [pair[0], b"\0", pair[1], b"\0"].concat())
        .collect();
    let length = u32::try_from(fields.len() + 9).unwrap();
    [
        &length.to_be_bytes()[..],
        &START_UP.to_be_bytes(),
        &fields,
        b"\0",
    ]
    .concat()
}

fn begins(words: &[u8]) -> bool {
    words.starts_with(b"Q") && words[5..].starts_with(b"begin ")
}
