//! What QStash and this service say to each other.
//!
//! Owns the protocol, not the transport: nothing here knows axum, and
//! [`signature`] does no I/O at all.

pub mod schedules;
pub mod signature;
