//! The engine: begin -> job -> settle.
//!
//! Owns the life of one run: the ledger, the lease, the fence and the answer
//! to the caller; the messages by which a run is continued or divided; what
//! QStash gave up on ([`delivery_failures`]); and pauses. Promises that a run
//! is finished when its caller hangs up, that a panic of the job is settled
//! like any failure, and that what is settled is durable before the caller
//! gets an answer. Knows no job and no HTTP: the jobs come as a [`Registry`].

pub mod batch;
mod begin;
mod call;
mod clock;
mod context;
mod continuation;
pub mod delivery_failures;
mod error;
mod fan_out;
mod fence;
mod job;
mod lease;
mod ledger;
pub mod options;
pub mod pause;
mod publisher;
pub mod results;
mod run;
mod runner;
mod settle;
mod totals;

pub use call::{Answer, Call, Caller, Trigger};
pub use context::{Budget, Checkpoint, JobContext};
pub use continuation::{Continuation, NotContinued};
pub use error::{JobError, context};
pub use fence::{Batch, Fence};
pub use job::{Completion, Job, JobOutcome, Registry, Work, with_json_results};
pub use lease::Lease;
pub use options::Options;
pub use publisher::Publisher;
pub use run::{Run, Status, summary, summary_with};
pub use runner::{OVERTIME, Runner, STOP_PATIENCE, Settings, progress};
