//! Read models: what operators read of jobs, runs and alerts.
//!
//! Read only, each question in one short transaction. Knows no HTTP.

pub mod history;
pub mod overview;
pub mod punctuality;
pub mod standing;
pub mod totals;
