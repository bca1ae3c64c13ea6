//! Scripted faults: which call fails, and how.
//!
//! A call gets the first fault queued for it, else the permanent one, and never more than one.
//! Each retry is a call, so a fault for every try is queued for each, or permanent.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;

use super::request::Call;

/// A way for a call to fail.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status with an error, and nothing happens.
    Status(u16),
    /// This status with an error, although what was asked has been done.
    StatusAfterEffect(u16),
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

impl Fault {
    /// How long the call waits before it is handled.
    pub(super) fn hang(&self) -> Duration {
        match self {
            Self::Hang(wait) => *wait,
            _ => Duration::ZERO,
        }
    }

    /// How long its answer waits.
    pub(super) fn hang_after_effect(&self) -> Duration {
        match self {
            Self::HangAfterEffect(wait) => *wait,
            _ => Duration::ZERO,
        }
    }

    /// Whether the call takes effect.
    pub(super) fn lets_through(&self) -> bool {
        !matches!(self, Self::Status(_) | Self::Disconnect)
    }

    /// The status it answers with instead of the call's own.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) | Self::StatusAfterEffect(status) => Some(*status),
            _ => None,
        }
    }

    /// The entries of a batch that fail.
    pub(super) fn entries(&self) -> &[usize] {
        match self {
            Self::Entries(places) => places,
            _ => &[],
        }
    }

    /// Whether nothing is answered.
    pub(super) fn cuts(&self) -> bool {
        matches!(self, Self::Disconnect | Self::DisconnectAfterEffect)
    }
}

/// All scripted faults, in the order they were queued.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queued: Vec<Scripted>,
    permanent: Vec<Scripted>,
}

/// A method, a part of a path, and what goes wrong there.
type Scripted = (String, String, Fault);

impl Faults {
    pub(super) fn queue(&mut self, method: &str, path: &str, fault: Fault) {
        self.queued
            .push((method.to_owned(), path.to_owned(), fault));
    }

    pub(super) fn set_permanent(&mut self, method: &str, path: &str, fault: Fault) {
        self.permanent
            .push((method.to_owned(), path.to_owned(), fault));
    }

    /// Takes the next fault for this call.
    pub(super) fn take(&mut self, call: &Call) -> Option<Fault> {
        let concerns = |(method, path, _): &Scripted| {
            *method == call.method && call.path.contains(path.as_str())
        };
        if let Some(place) = self.queued.iter().position(concerns) {
            return Some(self.queued.remove(place).2);
        }
        let permanent = self.permanent.iter().find(|one| concerns(one));
        permanent.map(|(_, _, fault)| fault.clone())
    }
}

/// A response whose body breaks at once: the server drops the connection before it has sent a byte.
pub(super) fn cut() -> Response<Body> {
    let broken = io::Error::from(io::ErrorKind::ConnectionAborted);
    let body = futures::stream::once(async move { Err::<String, _>(broken) });
    Response::new(Body::from_stream(body))
}
