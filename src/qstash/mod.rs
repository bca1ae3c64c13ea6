//! What QStash and this service say to each other.
//!
//! Owns the protocol, not the transport of deliveries: nothing here knows
//! axum, and [`signature`] does no I/O at all. [`client`] calls QStash's REST
//! API; what is to be sent, and when, others decide. [`schedules`] is the file of
//! schedules, [`plan`] what differs from it at QStash, [`apply`] mends
//! that.

pub mod apply;
pub mod callback;
pub mod client;
pub mod delivery;
pub mod plan;
pub mod retry;
pub mod schedules;
pub mod signature;
pub mod ticks;
