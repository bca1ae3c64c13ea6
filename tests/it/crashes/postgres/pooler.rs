//! A way to the private server that knows where transactions end.
//!
//! Holds one statement, or the answer to one commit, and decides what its client sees of a
//! crash: as behind a pooler in transaction mode nothing at all, where it was
//! between two transactions, or as on a straight way a connection that breaks.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::gate::{Closing, Side, says};
use super::latch::Latch;

/// What a client sees of a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing, between two transactions: the next one goes to the server that
    /// is back.
    Nothing,
    /// Its connection breaks after the answer that was held.
    ABreak,
    /// Its connection breaks before the answer that was held, which is lost.
    NoAnswer,
}

/// The server's word that no transaction is open.
const READY: &[u8] = b"Z\0\0\0\x05I";
/// What a server that goes away tells every client, asked or not.
const LAST_WORDS: &str = "terminating connection";
/// The server's word that a transaction is kept.
const COMMITTED: &str = "COMMIT\0";

pub(super) struct Pooler {
    url: String,
    way: Arc<Way>,
}

struct Way {
    server: u16,
    seen: Seen,
    closing: OnceLock<Closing>,
}

impl Pooler {
    /// A way to the server on that port.
    pub(super) async fn to(server: u16, seen: Seen) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(Way {
            server,
            seen,
            closing: OnceLock::new(),
        });
        let found = Arc::clone(&way);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let way = Arc::clone(&found);
                tokio::spawn(async move { way.pass(client).await });
            }
        });
        // The first word must be the start-up message.
        let url = format!("postgres://postgres@{address}/postgres?sslmode=disable");
        Self { url, way }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Holds the nth statement that says these words; or the answer to the nth
    /// commit of a transaction that said them.
    pub(super) fn close_at(&self, words: &'static str, nth: usize, side: Side) -> Arc<Latch> {
        Closing::set(&self.way.closing, words, nth, side)
    }
}

impl Way {
    async fn pass(&self, mut client: TcpStream) -> io::Result<()> {
        let hello = startup_message(&mut client).await?;
        let mut server = self.connect(&hello).await;
        let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let (mut is_idle, mut is_meant) = (false, false);
        loop {
            tokio::select! {
                // A server that is gone is noticed before anything is sent to it.
                biased;
                read = server.read(&mut answered) => match read.unwrap_or(0) {
                    0 if is_idle && self.seen == Seen::Nothing => {
                        server = self.connect_again(&hello).await;
                    }
                    0 => return Ok(()),
                    length => {
                        let answer = &answered[..length];
                        if is_idle && self.seen == Seen::Nothing && says(answer, LAST_WORDS) {
                            continue;
                        }
                        is_idle = answer.ends_with(READY);
                        if is_meant && says(answer, COMMITTED) && self.holds(Side::Answer).await {
                            match self.seen {
                                Seen::Nothing => server = self.connect_again(&hello).await,
                                Seen::ABreak => {}
                                Seen::NoAnswer => return Ok(()),
                            }
                        }
                        is_meant &= !is_idle;
                        client.write_all(answer).await?;
                    }
                },
                read = client.read(&mut asked) => match read? {
                    0 => return Ok(()),
                    length => {
                        is_idle = false;
                        let closing = self.closing.get();
                        if closing.is_some_and(|it| says(&asked[..length], it.words)) {
                            is_meant = true;
                            self.holds(Side::Call).await;
                        }
                        server.write_all(&asked[..length]).await?;
                    }
                },
            }
        }
    }

    /// Waits where this is the time; answers whether it was.
    async fn holds(&self, side: Side) -> bool {
        match self.closing.get() {
            Some(it) if it.side == side && it.latch.closes() => {
                it.latch.hold().await;
                true
            }
            _ => false,
        }
    }

    /// Waits until the server is up, and sends it the client's first message.
    async fn connect(&self, hello: &[u8]) -> TcpStream {
        loop {
            if let Ok(mut server) = TcpStream::connect(("127.0.0.1", self.server)).await
                && server.write_all(hello).await.is_ok()
            {
                return server;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The same for a client that has had the answer to its first message.
    async fn connect_again(&self, hello: &[u8]) -> TcpStream {
        loop {
            let mut server = self.connect(hello).await;
            let (mut answer, mut length) = (vec![0; 1 << 16], 0);
            while let Ok(read @ 1..) = server.read(&mut answer[length..]).await {
                length += read;
                if answer[..length].ends_with(READY) {
                    return server;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The first message of a client: its length, and as much.
async fn startup_message(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = client.read_u32().await?;
    let mut message = length.to_be_bytes().to_vec();
    message.resize(usize::try_from(length).unwrap(), 0);
    client.read_exact(&mut message[4..]).await?;
    Ok(message)
}
