//! Whose a message is, and a run: a schedule's, or an operator's.
//!
//! A continuation and a shard come from no schedule, but do the work of the
//! one that began their chain. What comes from nowhere is the job's schedule's.

use sqlx::Result;
use uuid::Uuid;

use crate::database::Unprepared;
use crate::engine::Job;
use crate::qstash::schedules::Schedules;

/// What began a chain of one message or more.
#[derive(Debug)]
pub(super) struct Whose {
    /// The schedule whose alert this is about.
    pub(super) schedule_id: String,
    /// Whether QStash began it, and no person.
    pub(super) is_qstashs: bool,
}

/// Whose a message of `schedule_id` is, delivered by QStash, that goes on
/// where the run `continues` has stopped.
pub(super) async fn whose(
    db: Unprepared<'_>,
    job: &Job,
    schedule_id: Option<&str>,
    continues: Option<Uuid>,
) -> Result<Whose> {
    let before = match (schedule_id, continues) {
        (None, Some(id)) => chain_of(db, job, id).await?,
        _ => None,
    };
    let (of_chain, is_qstashs) = match before {
        Some(chain) => (chain.schedule_id, chain.is_qstashs),
        None => (schedule_id.map(str::to_owned), true),
    };
    Ok(Whose {
        schedule_id: of_chain.unwrap_or_else(|| of_job(job).to_owned()),
        is_qstashs,
    })
}

/// The job's schedule, or the job where it has none.
pub(super) fn of_job(job: &Job) -> &str {
    Schedules::deployed()
        .of(job.name)
        .map_or(job.name, |schedule| schedule.id.as_str())
}

struct Chain {
    schedule_id: Option<String>,
    is_qstashs: bool,
}

async fn chain_of(db: Unprepared<'_>, job: &Job, run_id: Uuid) -> Result<Option<Chain>> {
    sqlx::query_as!(
        Chain,
        r#"
        select coalesce(chain_schedule_id, schedule_id) as schedule_id,
               coalesce(chain_trigger, trigger) = 'qstash' as "is_qstashs!"
          from job_runs
         where id = $1
           and job = $2
        "#,
        run_id,
        job.name,
    )
    .fetch_optional(db)
    .await
}
