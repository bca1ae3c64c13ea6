//! Who is connected, and who has to go when there is no place left.
//!
//! Promises that a caller who carries a credential finds a place while others
//! hold one without: the oldest connection goes that has shown none, then the
//! oldest that has shown one and asks for nothing. One that has shown a
//! credential is never closed while it waits for an answer. Age decides, so
//! that who has just come has the time to show theirs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The places there are.
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// So many are kept free, for the time that those take to go who have to.
    spare: usize,
    /// Those who may have to go, in the order in which they came.
    taken: Mutex<(u64, BTreeMap<u64, Peer>)>,
    /// A connection has nothing to answer any more.
    calmed: Arc<Notify>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    number: u64,
    peer: Peer,
    places: Arc<Places>,
    _permit: OwnedSemaphorePermit,
}

/// What is known of the other end of a connection.
#[derive(Clone)]
pub(in crate::http) struct Peer(Arc<State>);

struct State {
    /// A credential of theirs was right.
    is_known: AtomicBool,
    /// No request of theirs is being answered.
    is_idle: AtomicBool,
    evicted: CancellationToken,
    calmed: Arc<Notify>,
}

impl Places {
    pub(super) fn new(number: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(number)),
            spare: number / 8,
            taken: Mutex::default(),
            calmed: Arc::default(),
        }
    }

    /// The next place, which another may have to leave for it.
    pub(super) async fn take(self: &Arc<Self>) -> Place {
        loop {
            let is_leaving = self.free.available_permits() <= self.spare && self.evict();
            tokio::select! {
                biased;
                Ok(permit) = self.free.clone().acquire_owned() => return self.place(permit),
                () = self.calmed.notified(), if !is_leaving => {}
            }
        }
    }

    fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        let peer = Peer::new(self.calmed.clone());
        let mut taken = self.taken.lock();
        let (number, peers) = &mut *taken;
        *number += 1;
        peers.insert(*number, peer.clone());
        Place {
            number: *number,
            peer,
            places: self.clone(),
            _permit: permit,
        }
    }

    /// Sends one away, if there is one that may be.
    fn evict(&self) -> bool {
        let mut taken = self.taken.lock();
        let peers = taken.1.iter();
        let ranked = peers.filter_map(|(number, peer)| Some((peer.rank()?, *number)));
        let number = ranked.min().map(|(_, number)| number);
        let peer = number.and_then(|number| taken.1.remove(&number));
        peer.inspect(|peer| peer.0.evicted.cancel()).is_some()
    }
}

impl Place {
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.lock().1.remove(&self.number);
    }
}

impl Peer {
    fn new(calmed: Arc<Notify>) -> Self {
        Self(Arc::new(State {
            is_known: false.into(),
            is_idle: true.into(),
            evicted: CancellationToken::new(),
            calmed,
        }))
    }

    /// A credential of theirs was right.
    pub(in crate::http) fn is_known(&self) {
        self.0.is_known.store(true, Relaxed);
    }

    /// A request of theirs has come, and will be answered.
    pub(super) fn is_served(&self) {
        self.0.is_idle.store(false, Relaxed);
    }

    /// All their requests were answered.
    pub(super) fn rests(&self) {
        self.0.is_idle.store(true, Relaxed);
        self.0.calmed.notify_one();
    }

    pub(super) fn is_idle(&self) -> bool {
        self.0.is_idle.load(Relaxed)
    }

    pub(super) async fn evicted(&self) {
        self.0.evicted.cancelled().await;
    }

    /// The lower, the sooner they have to go; none, when they may stay.
    fn rank(&self) -> Option<u8> {
        match (self.0.is_known.load(Relaxed), self.is_idle()) {
            (false, _) => Some(0),
            (true, true) => Some(1),
            (true, false) => None,
        }
    }
}
