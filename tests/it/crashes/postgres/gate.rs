//! A gate in front of a double of the outside: one call is held there, for as
//! long as the test wants.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::latch::Latch;

/// Where the gate closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Before the call is heard: nothing has happened yet.
    Call,
    /// Before its answer is: all of it has.
    Answer,
}

/// A way to a double.
pub(super) struct Gate {
    url: String,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    /// Where it leads, such as `127.0.0.1:4000`.
    double: OnceLock<String>,
    closing: OnceLock<Closing>,
}

/// Where a way closes, once.
pub(super) struct Closing {
    pub(super) words: &'static str,
    pub(super) side: Side,
    pub(super) latch: Arc<Latch>,
}

impl Closing {
    /// Closes a way at the nth time that these words are said.
    pub(super) fn set(
        of_way: &OnceLock<Self>,
        words: &'static str,
        nth: usize,
        side: Side,
    ) -> Arc<Latch> {
        let latch = Latch::at(nth);
        let closing = Self {
            words,
            side,
            latch: Arc::clone(&latch),
        };
        assert!(of_way.set(closing).is_ok(), "it closes only once");
        latch
    }
}

impl Gate {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let way = Arc::<Way>::default();
        let found = Arc::clone(&way);
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(pass(caller, Arc::clone(&found)));
            }
        });
        Self { url, way }
    }

    /// What the service is given in place of the double's own address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn lead_to(&self, double: &str) {
        let address = double.strip_prefix("http://").unwrap();
        self.way.double.set(address.to_owned()).unwrap();
    }

    /// Closes at the nth call that says these words.
    pub(super) fn close_at(&self, words: &'static str, nth: usize, side: Side) -> Arc<Latch> {
        Closing::set(&self.way.closing, words, nth, side)
    }
}

impl Way {
    /// What this call meets, if anything.
    fn closes(&self, said: &[u8]) -> Option<(Side, Arc<Latch>)> {
        let closing = self.closing.get()?;
        let closes = says(said, closing.words) && closing.latch.closes();
        closes.then(|| (closing.side, Arc::clone(&closing.latch)))
    }
}

/// Whether these bytes hold these words.
pub(super) fn says(said: &[u8], words: &str) -> bool {
    said.windows(words.len()).any(|it| it == words.as_bytes())
}

async fn pass(mut caller: TcpStream, way: Arc<Way>) -> io::Result<()> {
    let mut double = TcpStream::connect(way.double.get().unwrap()).await?;
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut awaited = None;
    loop {
        tokio::select! {
            read = caller.read(&mut asked) => match read? {
                0 => return Ok(()),
                length => {
                    match way.closes(&asked[..length]) {
                        Some((Side::Call, latch)) => latch.hold().await,
                        Some((Side::Answer, latch)) => awaited = Some(latch),
                        None => {}
                    }
                    double.write_all(&asked[..length]).await?;
                }
            },
            read = double.read(&mut answered) => match read? {
                0 => return Ok(()),
                length => {
                    if let Some(latch) = awaited.take() {
                        latch.hold().await;
                    }
                    caller.write_all(&answered[..length]).await?;
                }
            },
        }
    }
}
