//! Retention: what is kept how long, and how it is erased.
//!
//! Owns the policies ([`policies`]), the targets with their statements
//! ([`target`]) and the erasure log. The job `cleanup-old-data` applies the
//! policies, a batch of each at a time.

mod attendance;
mod conversations;
pub(crate) mod erasure_log;
mod kiosks;
mod logs;
mod members;
pub mod policies;
mod references;
mod statements;
pub(crate) mod target;
