//! What was said last of members whose visits are all gone.
//!
//! Reads only.

use std::collections::HashMap;

use chrono::NaiveDate;
use sqlx::Result;
use sqlx::types::Json;
use uuid::Uuid;

use crate::churn::facts::Member;
use crate::churn::verdict::{Factor, Level, Verdict};
use crate::database::Unprepared;

/// What was said last of those of these members who had a score: none of their
/// visits is left, and nothing newer is known.
pub(super) async fn of(
    db: Unprepared<'_>,
    members: impl Iterator<Item = &Member>,
) -> Result<HashMap<Uuid, Verdict>> {
    let (ids, days): (Vec<Uuid>, Vec<NaiveDate>) =
        members.map(|member| (member.id, member.today)).unzip();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"
        select m.id as "id!", h.score as "score!", h.level as "level!: Level",
               coalesce(c.factors, '[]') as "factors!: Json<Vec<Factor>>"
          from unnest($1::uuid[], $2::date[]) as m (id, day)
         cross join lateral (
               (select score, level, scored_on
                  from member_churn_history
                 where member_id = m.id
                   and scored_on <= m.day
                   and score is not null
                 order by scored_on desc
                 limit 1)
               union all
               select score, level, scored_on
                 from member_churn
                where member_id = m.id
                  and scored_on <= m.day
                  and score is not null
                order by scored_on desc
                limit 1
         ) h
          left join member_churn c
            on c.member_id = m.id
           and c.score is not null
        "#,
        &ids,
        &days,
    )
    .fetch_all(db)
    .await?;
    let kept = rows.into_iter().map(|row| {
        let verdict = Verdict {
            score: Some(row.score),
            level: row.level,
            factors: row.factors.0,
        };
        (row.id, verdict)
    });
    Ok(kept.collect())
}
