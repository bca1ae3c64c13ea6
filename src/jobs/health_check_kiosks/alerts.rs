//! Which alerts of kiosks should be open: one per kiosk and kind, or one for
//! a whole gym. How they are kept says [`kiosks`].
//!
//! A kiosk whose verdict and status differ, because a heartbeat came in
//! between, is left to the next run.

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::Result;
use sqlx::types::Json;
use uuid::Uuid;

use super::gyms::Columns;
use super::verdict::judging;
use crate::alerts::kinds::{GYM_OFFLINE, KIOSK_DEGRADED, KIOSK_OFFLINE, KIOSK_WRONG_CLOCK};
use crate::alerts::kiosks::{self, Change, Wanted};
use crate::database::Unprepared;
use crate::engine::JobContext;

/// How many kiosks have which verdict, and what needs an alert.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) online: i64,
    pub(super) degraded: i64,
    pub(super) offline: i64,
    pub(super) untouched: i64,
    /// Kiosks that are down, without those of `gyms`.
    kiosks: Json<Vec<Down>>,
    /// Gyms whose every watched kiosk is offline, when they have several.
    gyms: Json<Vec<Down>>,
    /// Kiosks whose status is not their verdict.
    unclear: Vec<Uuid>,
}

/// A kiosk, or a gym with so many kiosks, that is down.
#[derive(Debug, Clone, Deserialize)]
struct Down {
    id: Uuid,
    gym_id: Uuid,
    slug: String,
    name: String,
    kiosks: Option<i64>,
    is_degraded: bool,
    is_ahead: bool,
    /// As Postgres writes it, which may be infinite.
    since: String,
    /// As Postgres writes it, or null.
    silent_since: Value,
}

/// Opens, repeats, escalates and resolves the alerts of these gyms and their
/// kiosks.
pub(super) async fn follow(
    Unprepared(connection): Unprepared<'_>,
    ctx: &JobContext,
    gyms: &Columns,
) -> Result<(Counted, Vec<Change>)> {
    let counted = count(Unprepared(connection), ctx, gyms).await?;
    let kiosks = counted.kiosks.iter().map(Down::kiosk);
    let wanted: Vec<Wanted> = kiosks.chain(counted.gyms.iter().map(Down::gym)).collect();
    let db = Unprepared(connection);
    let changes = kiosks::follow(db, &gyms.ids, &counted.unclear, &wanted, ctx.now).await?;
    Ok((counted, changes))
}

impl Down {
    fn kiosk(&self) -> Wanted {
        let kind = match (self.is_degraded, self.is_ahead) {
            (false, _) => KIOSK_OFFLINE,
            (true, true) => KIOSK_WRONG_CLOCK,
            (true, false) => KIOSK_DEGRADED,
        };
        let details = json!({
            "slug": self.slug,
            "silent_since": self.silent_since,
            "has_wrong_clock": self.is_ahead,
        });
        let mut alert = kind.about(&self.id.to_string(), &[&self.name, &self.slug], details);
        alert.gym_id = Some(self.gym_id);
        alert.kiosk_id = Some(self.id);
        Wanted {
            alert,
            since: self.since.clone(),
        }
    }

    fn gym(&self) -> Wanted {
        let details = json!({
            "slug": self.slug,
            "silent_since": self.silent_since,
            "kiosks": self.kiosks,
        });
        let kiosks = self.kiosks.unwrap_or_default().to_string();
        let mut alert = GYM_OFFLINE.about(&self.id.to_string(), &[&kiosks, &self.name], details);
        alert.gym_id = Some(self.id);
        Wanted {
            alert,
            since: self.since.clone(),
        }
    }
}

async fn count(db: Unprepared<'_>, ctx: &JobContext, gyms: &Columns) -> Result<Counted> {
    judging!(
        Counted,
        "
        with judged as materialized (
        select k.id, k.gym_id, k.slug, k.name, k.status, k.status_since as since, judged.verdict,
               seen.silent_since, coalesce(heard.is_ahead, false) as is_ahead",
        r#"
        ), down as materialized (
            select gym_id, count(*) as kiosks, max(since) as since,
                   max(silent_since) as silent_since
              from judged
             where verdict is not null
             group by gym_id
            having count(*) > 1
               and bool_and(verdict = 'offline' and status = 'offline')
        )
        select count(*) filter (where verdict = 'online') as "online!",
               count(*) filter (where verdict = 'degraded') as "degraded!",
               count(*) filter (where verdict = 'offline') as "offline!",
               count(*) filter (where verdict is null) as "untouched!",
               coalesce(array_agg(id) filter (where verdict <> status), '{}') as "unclear!",
               coalesce(jsonb_agg(jsonb_build_object(
                   'id', id, 'gym_id', gym_id, 'slug', slug, 'name', name,
                   'is_degraded', verdict = 'degraded', 'is_ahead', is_ahead,
                   'since', since, 'silent_since', silent_since
               )) filter (
                   where verdict in ('degraded', 'offline')
                     and verdict = status
                     and gym_id not in (select gym_id from down)
               ), '[]') as "kiosks!: Json<Vec<Down>>",
               (
                   select coalesce(jsonb_agg(jsonb_build_object(
                              'id', gyms.id, 'gym_id', gyms.id, 'slug', gyms.slug,
                              'name', gyms.name, 'kiosks', down.kiosks,
                              'is_degraded', false, 'is_ahead', false,
                              'since', down.since, 'silent_since', down.silent_since
                          )), '[]')
                     from down
                     join gyms
                       on gyms.id = down.gym_id
               ) as "gyms!: Json<Vec<Down>>"
          from judged
        "#,
        ctx,
        gyms,
    )
    .fetch_one(db)
    .await
}
