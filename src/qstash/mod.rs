//! The protocol between QStash and this service.
//!
//! Owns the protocol, not the transport of deliveries: nothing here knows
//! axum, and [`signature`] does no I/O at all. [`client`] calls QStash's REST
//! API; its callers decide what is sent, and when. [`schedules`] is the file
//! of schedules, [`plan`] its difference from QStash, [`apply`] removes that
//! difference.

pub mod apply;
pub mod callback;
pub mod client;
pub mod delivery;
pub mod plan;
pub mod retry;
pub mod schedules;
pub mod signature;
pub mod ticks;
