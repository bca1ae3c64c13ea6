//! Scripted trouble: what goes wrong with which call.
//!
//! A call meets the first fault queued for its path, else the standing one. Faults strike before
//! the token is looked at, as a proxy's would.

use std::collections::VecDeque;
use std::time::Duration;

use super::request::Call;
use super::service::lock;

/// One thing that can go wrong with a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status with an error in QStash's words, such as 429 or 500, and nothing happens.
    Status(u16),
    /// The call is handled only after this long, and not at all if its caller has left by then.
    Hang(Duration),
    /// The call takes effect at once, its answer comes this much later.
    HangAfterEffect(Duration),
    /// The connection is closed without an answer; nothing happened.
    Disconnect,
    /// The call takes effect, then the connection is closed without an answer.
    DisconnectAfterEffect,
    /// These entries of a batch, counted from 0, fail, the others do not.
    Entries(Vec<usize>),
}

/// All scripted faults, by what the path of a call begins with.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queued: VecDeque<(String, Fault)>,
    standing: Vec<(String, Fault)>,
}

impl Faults {
    /// Takes the fault whose turn it is for this call.
    pub(super) fn take(&mut self, call: &Call) -> Option<Fault> {
        let concerns = |(path, _): &(String, Fault)| call.path.starts_with(path);
        if let Some(place) = self.queued.iter().position(concerns) {
            return self.queued.remove(place).map(|(_, fault)| fault);
        }
        let mut standing = self.standing.iter();
        standing
            .find(|one| concerns(one))
            .map(|(_, fault)| fault.clone())
    }
}

impl super::QstashDouble {
    /// Spoils the next call whose path begins so, such as `/v2/publish`; queued, each spoils one.
    pub fn fault(&self, path: &str, fault: Fault) {
        lock(&self.state)
            .faults
            .queued
            .push_back((path.to_owned(), fault));
    }

    /// Spoils every call whose path begins so and that no queued fault is waiting for.
    pub fn always(&self, path: &str, fault: Fault) {
        lock(&self.state)
            .faults
            .standing
            .push((path.to_owned(), fault));
    }

    /// Forgets all scripted faults.
    pub fn clear_faults(&self) {
        lock(&self.state).faults = Faults::default();
    }
}
