//! Retention: what is kept how long, and how it is erased.
//!
//! Owns the policies ([`policies`]), the statements of each target and the
//! erasure log. The job `cleanup-old-data` applies the policies one after the
//! other.

pub(crate) mod attendance;
pub(crate) mod conversations;
pub(crate) mod erasure_log;
pub(crate) mod kiosks;
pub(crate) mod logs;
pub(crate) mod members;
pub mod policies;
pub(crate) mod references;
pub(crate) mod rules;
