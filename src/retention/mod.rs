//! Retention: what is kept how long, and how it is erased.
//!
//! Owns the policies ([`policies`]), the targets with their statements
//! ([`target`]), the rules for what the customer has added ([`rules`]) and the
//! erasure log. The job `cleanup-old-data` applies the
//! policies, a batch of each at a time.

mod attendance;
mod conversations;
pub(crate) mod erasure_log;
mod kiosks;
mod logs;
mod members;
pub(crate) mod moment;
pub mod policies;
mod references;
mod reports;
pub mod rules;
mod statements;
pub(crate) mod target;
