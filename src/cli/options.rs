//! The options of a job on the command line.

use clap::Args;
use uuid::Uuid;

use super::Usage;
use crate::engine::{Job, Options, Registry};
use crate::jobs;

/// What `run` and `trigger` may ask of a job.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options of the job")]
pub struct OptionArgs {
    /// Change nothing; answer with exactly what would be done.
    #[arg(long)]
    pub dry_run: bool,
    /// Judge as of that moment, such as 2026-11-01T03:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<String>,
    /// Rows per transaction.
    #[arg(long, value_name = "ROWS")]
    pub batch_size: Option<u32>,
    /// Rows per run.
    #[arg(long, value_name = "ROWS")]
    pub limit: Option<u32>,
    /// Only this gym.
    #[arg(long, value_name = "UUID")]
    pub gym_id: Option<Uuid>,
    /// Only this part of the rows, such as 0/4.
    #[arg(long, value_name = "INDEX/COUNT")]
    pub shard: Option<String>,
    /// Divide the work among that many runs, which the service publishes to
    /// QStash; not for `run`.
    #[arg(long, value_name = "SHARDS")]
    pub fan_out: Option<u32>,
    /// Run although the same work is already done.
    #[arg(long)]
    pub force: bool,
}

impl OptionArgs {
    /// The job, one of those in use, and its options.
    ///
    /// # Errors
    /// [`Usage`] when there is no such job, or it does not accept an option.
    pub fn read(&self, job: &str, jobs: Registry) -> Result<(&'static Job, Options), Usage> {
        let job = jobs.find(job).ok_or_else(|| {
            let known = jobs.names().join(", ");
            Usage(match jobs::ALL.find(job) {
                Some(_) => format!("the job {job} is not in use: JOBS says {known}"),
                None => format!("there is no job {job:?}; there are: {known}"),
            })
        })?;
        let shard = self.shard.as_deref().map(str::parse).transpose();
        let options = Options {
            dry_run: self.dry_run,
            as_of: self.as_of.as_deref().map(moment).transpose()?,
            batch_size: self.batch_size,
            limit: self.limit,
            gym_id: self.gym_id,
            shard: shard.map_err(Usage)?,
            fan_out: self.fan_out,
            force: self.force,
            continuation_of: None,
        };
        options.check(job.name, job.accepts).map_err(Usage)?;
        Ok((job, options))
    }
}

pub(super) fn moment(text: &str) -> Result<chrono::DateTime<chrono::Utc>, Usage> {
    text.parse()
        .map_err(|_| Usage("--as-of must be a time such as 2026-11-01T03:00:00Z".into()))
}
