//! A call for a run: who asks for what, and what became of it.

use super::{Continuation, Job, Options, Run};

/// Who asks for a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Trigger {
    /// The scheduler, with both its credentials.
    Qstash,
    /// A person with the operator's secret.
    Operator,
    /// A person at the command line.
    #[default]
    Cli,
}

/// The caller, as the ledger remembers it.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Which way the call came.
    pub trigger: Trigger,
    /// Who, as they say.
    pub actor: Option<String>,
    /// Why, as they say.
    pub reason: Option<String>,
    /// QStash's message id: the same over all its retries.
    pub message_id: Option<String>,
    /// The schedule the message came from.
    pub schedule_id: Option<String>,
    /// The id of the token, spent by its first run.
    pub jti: Option<String>,
}

/// A call for a run.
#[derive(Debug, Clone)]
pub struct Call {
    /// The job.
    pub job: &'static Job,
    /// What is asked of it.
    pub options: Options,
    /// The caller.
    pub caller: Caller,
}

/// What became of a call.
#[derive(Debug)]
pub enum Answer {
    /// It ran, or was skipped.
    Settled {
        /// The run, as the ledger has it.
        run: Run,
        /// Whether the database or Stripe was away, so that a later try may pass.
        unreachable: bool,
        /// Whether the rest of a partial run was asked for.
        continuation: Option<Continuation>,
    },
    /// It had been settled before; nothing ran.
    Replayed {
        /// The run.
        run: Run,
        /// Whether the rest of a partial run was asked for, then or now.
        continuation: Option<Continuation>,
    },
    /// The same delivery is running, or a run that it has to wait for.
    StillRunning(Run),
    /// It asks for a moment that has not come.
    FutureMoment,
}

impl Trigger {
    /// The word in `job_runs.trigger`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}
