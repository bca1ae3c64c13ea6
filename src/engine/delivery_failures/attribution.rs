//! Which schedule a message or a run belongs to, and whether QStash began it.
//!
//! A continuation and a shard come from no schedule, but do the work of the
//! one that began their chain. Any other message without a schedule belongs to
//! the job's schedule.

use sqlx::Result;
use uuid::Uuid;

use crate::database::Unprepared;
use crate::engine::Job;
use crate::qstash::schedules::Schedules;

/// The schedule of a message of `schedule_id`, delivered by QStash, that
/// continues the run `continues`; and whether QStash began it, and no person.
pub(super) async fn of(
    db: Unprepared<'_>,
    job: &Job,
    schedule_id: Option<&str>,
    continues: Option<Uuid>,
) -> Result<(String, bool)> {
    let chain = match (schedule_id, continues) {
        (None, Some(id)) => chain_of(db, job, id).await?,
        _ => None,
    };
    let (schedule_id, is_by_qstash) = match chain {
        Some(chain) => (chain.schedule_id, chain.is_by_qstash),
        None => (schedule_id.map(str::to_owned), true),
    };
    let schedule_id = schedule_id.unwrap_or_else(|| of_job(job).to_owned());
    Ok((schedule_id, is_by_qstash))
}

/// The job's schedule, or the job where it has none.
pub(super) fn of_job(job: &Job) -> &str {
    Schedules::deployed()
        .of(job.name)
        .map_or(job.name, |schedule| schedule.id.as_str())
}

struct Chain {
    schedule_id: Option<String>,
    is_by_qstash: bool,
}

async fn chain_of(db: Unprepared<'_>, job: &Job, run_id: Uuid) -> Result<Option<Chain>> {
    sqlx::query_as!(
        Chain,
        r#"
        select coalesce(chain_schedule_id, schedule_id) as schedule_id,
               coalesce(chain_trigger, trigger) = 'qstash' as "is_by_qstash!"
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
