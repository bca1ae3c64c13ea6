//! A run as the ledger has it, and as people read it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Status {
    /// At work, or dead and not yet found out.
    Running,
    /// All work is done.
    Succeeded,
    /// The budget was spent with work left.
    Partial,
    /// Nothing ran: another run was alive, or the job is paused.
    Skipped,
    /// It could not go on.
    Failed,
    /// It lost its lease, and committed nothing after that.
    Fenced,
    /// Its lease ran out; the next taker noticed.
    Abandoned,
}

/// A run as the ledger has it.
#[derive(Debug, Clone)]
pub struct Record {
    /// The run.
    pub run_id: Uuid,
    /// Its job.
    pub job: String,
    /// How it stands.
    pub status: Status,
    /// Whether it only rehearsed.
    pub dry_run: bool,
    /// QStash's message, if it came from there.
    pub message_id: Option<String>,
    /// From 1; counts the runs of one message.
    pub attempt: i32,
    /// On the database's clock.
    pub started_at: DateTime<Utc>,
    /// On the database's clock; unset while running.
    pub finished_at: Option<DateTime<Utc>>,
    /// What was done; only what was committed counts.
    pub results: Value,
    /// Why it could not go on.
    pub error: Option<String>,
    /// What was asked of it.
    pub options: Value,
    /// Which link of a chain of continuations it is, from 1.
    pub chain_position: i32,
    /// QStash's ids of the messages that it published.
    pub published: Vec<String>,
    /// Whether a message or a run shows that its rest was asked for.
    pub is_continued: bool,
    /// Whether it stopped elsewhere than it had begun.
    pub has_moved: bool,
}

impl Record {
    /// Milliseconds from begin to settle, 0 while running.
    #[must_use]
    pub fn duration_ms(&self) -> i64 {
        self.finished_at.map_or(0, |finished| {
            (finished - self.started_at).num_milliseconds()
        })
    }

    /// The run in one line: its counts that are not zero.
    #[must_use]
    pub fn message(&self) -> String {
        let counts: Vec<String> = match &self.results {
            Value::Object(results) => results
                .iter()
                .filter_map(|(name, value)| match value {
                    Value::Number(count) if count.as_f64() != Some(0.0) => {
                        Some(format!("{name} {count}"))
                    }
                    Value::String(reason) => Some(reason.clone()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        let counts = if counts.is_empty() {
            "nothing to do".to_owned()
        } else {
            counts.join(", ")
        };
        let rehearsed = if self.dry_run { " (dry run)" } else { "" };
        match self.status {
            Status::Running => format!("{} is still running{rehearsed}", self.job),
            Status::Failed | Status::Fenced | Status::Abandoned if counts == "nothing to do" => {
                format!("{} {}{rehearsed}", self.job, self.status.name())
            }
            status => format!("{} {}{rehearsed}: {counts}", self.job, status.name()),
        }
    }
}

impl Status {
    /// Every status there is.
    pub const ALL: [Self; 7] = [
        Self::Running,
        Self::Succeeded,
        Self::Partial,
        Self::Skipped,
        Self::Failed,
        Self::Fenced,
        Self::Abandoned,
    ];

    /// The word in `job_runs.status`, in answers and in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Partial => "partial",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Fenced => "fenced",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether a redelivery of its message is answered from the ledger
    /// instead of running again.
    #[must_use]
    pub fn is_final_for_its_message(self) -> bool {
        matches!(self, Self::Succeeded | Self::Partial | Self::Skipped)
    }

    /// The status of that name, if there is one.
    #[must_use]
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == word)
    }

    /// The status of a row. The check on the column keeps other words out.
    pub(super) fn named(word: &str) -> Self {
        Self::find(word).unwrap_or(Self::Abandoned)
    }

    /// The word in `system_logs.level`.
    pub(super) fn level(self) -> &'static str {
        match self {
            Self::Failed => "error",
            Self::Fenced | Self::Abandoned => "warning",
            _ => "info",
        }
    }
}
