//! The runs as operators read them: those of a job, page by page, and one.

use sqlx::Result;
use uuid::Uuid;

use super::Views;
use crate::database::{Transaction, Unprepared};
use crate::engine::{Job, JobError, Run, Status, context};

/// How many continuations of a run are shown at the most.
const CONTINUATIONS: i64 = 20;

/// Which runs of a job are wanted, the latest first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    /// Only runs in this status.
    pub(crate) status: Option<Status>,
    /// Only runs before this one.
    pub(crate) before: Option<Uuid>,
    /// At most so many.
    pub(crate) limit: u16,
}

impl Views {
    /// Runs of `job`, the latest first; `None` when `page.before` is none of
    /// them.
    pub(crate) async fn runs_of(
        &self,
        job: &Job,
        page: Page,
    ) -> std::result::Result<Option<Vec<Run>>, JobError> {
        let mut tx = self.reading().await?;
        runs_of(&mut tx, job, page)
            .await
            .map_err(context("read the runs"))
    }

    /// One run.
    pub(crate) async fn run(&self, id: Uuid) -> std::result::Result<Option<Run>, JobError> {
        let mut tx = self.reading().await?;
        Run::find(Unprepared(&mut tx), id)
            .await
            .map_err(context("read the run"))
    }

    /// The runs that continue this one, the latest first.
    pub(crate) async fn continuations_of(
        &self,
        run: Uuid,
    ) -> std::result::Result<Vec<Run>, JobError> {
        let mut tx = self.reading().await?;
        continuations(&mut tx, run)
            .await
            .map_err(context("read the continuations"))
    }
}

async fn runs_of(db: &mut Transaction, job: &Job, page: Page) -> Result<Option<Vec<Run>>> {
    let before = match page.before {
        None => None,
        Some(id) => match Run::find(Unprepared(db), id).await? {
            Some(run) if run.job == job.name => Some((run.started_at, run.id)),
            _ => return Ok(None),
        },
    };
    let (moment, id) = before.unzip();
    let ids = sqlx::query_scalar!(
        "select id
           from job_runs
          where job = $1
            and ($2::text is null or status = $2)
            and ($3::timestamptz is null or (started_at, id) < ($3, $4::uuid))
          order by started_at desc, id desc
          limit $5",
        job.name,
        page.status.map(Status::name),
        moment,
        id,
        i64::from(page.limit),
    )
    .fetch_all(Unprepared(db))
    .await?;
    Run::of_ids(Unprepared(db), &ids).await.map(Some)
}

async fn continuations(db: &mut Transaction, run: Uuid) -> Result<Vec<Run>> {
    let ids = sqlx::query_scalar!(
        "select id
           from job_runs
          where continuation_of = $1
          order by started_at desc, id desc
          limit $2",
        run,
        CONTINUATIONS,
    )
    .fetch_all(Unprepared(db))
    .await?;
    Run::of_ids(Unprepared(db), &ids).await
}
