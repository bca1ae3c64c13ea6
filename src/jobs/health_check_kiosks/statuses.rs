//! Statuses follow their verdicts.

use sqlx::Result;
use uuid::Uuid;

use super::gyms::Columns;
use super::verdict::judging;
use crate::database::Unprepared;
use crate::engine::JobContext;
use crate::engine::results::MOST_NAMED;

/// What turned.
#[derive(Debug)]
pub(super) struct Turned {
    pub(super) kiosks: i64,
    /// The first of them.
    pub(super) samples: Vec<Uuid>,
}

/// Gives every kiosk whose verdict is another than its status the new one.
///
/// Only those are locked, in the order of their ids, and each is judged again
/// under its lock: a heartbeat that came first counts.
pub(super) async fn turn(db: Unprepared<'_>, ctx: &JobContext, gyms: &Columns) -> Result<Turned> {
    judging!(
        Turned,
        "
        with due as materialized (
        select k.id, judged.verdict",
        r#"
         where judged.verdict <> k.status
         order by k.id
           for update of k
        ), turned as (
            update kiosks k
               set status = due.verdict,
                   status_since = $1,
                   updated_at = $1
              from due
             where k.id = due.id
            returning k.id
        )
        select count(*) as "kiosks!", coalesce((array_agg(id))[1:$10], '{}') as "samples!"
          from turned
        "#,
        ctx,
        gyms,
        i32::from(MOST_NAMED),
    )
    .fetch_one(db)
    .await
}
