//! What the members of the gyms on a page are judged by.
//!
//! Reads the model of each gym once, and looks for the offset of those that
//! have none of this week; the page stores what was found.

use std::collections::HashMap;

use sqlx::Result;
use uuid::Uuid;

use super::first_nights;
use crate::churn::facts::{self, Member};
use crate::churn::offset::{self, Offset};
use crate::churn::weights::{self, Model};
use crate::database::{Transaction, Unprepared};
use crate::engine::{JobContext, JobError, context};

/// The gyms on the last page.
#[derive(Debug, Default)]
pub(super) struct Gyms {
    models: HashMap<Uuid, GymModel>,
    /// Found since the last page.
    offsets: Vec<Offset>,
}

/// What a gym's members are judged by.
#[derive(Debug, Clone)]
pub(super) struct GymModel {
    pub(super) model: Model,
    pub(super) gap: f64,
    /// Whether its readers are silent: no level changes meanwhile.
    pub(super) is_silent: bool,
    /// Whether it has its first night.
    pub(super) is_first_night: bool,
}

impl Gyms {
    pub(super) fn get(&self, gym: &Uuid) -> Option<&GymModel> {
        self.models.get(gym)
    }

    /// What was found since this was asked last.
    pub(super) fn found(&mut self) -> Vec<Offset> {
        std::mem::take(&mut self.offsets)
    }

    /// Reads the models of the gyms of a page, and drops those before.
    pub(super) async fn read(
        &mut self,
        ctx: &JobContext,
        db: &mut Transaction,
        members: &[Member],
    ) -> std::result::Result<(), JobError> {
        let mut gyms: Vec<Uuid> = members.iter().map(|member| member.gym_id).collect();
        gyms.dedup();
        self.models.retain(|gym, _| gyms.contains(gym));
        gyms.retain(|gym| !self.models.contains_key(gym));
        if gyms.is_empty() {
            return Ok(());
        }
        let mut models = weights::newest(Unprepared(db), &gyms, ctx.now)
            .await
            .map_err(context("read the models of gyms"))?;
        let gaps = facts::gaps_of_gyms(db, &gyms, ctx.now)
            .await
            .map_err(context("read the rhythm of gyms"))?;
        let silent = silent(Unprepared(db), &gyms)
            .await
            .map_err(context("read which gyms are silent"))?;
        let first = first_nights::of(Unprepared(db), members, ctx.now)
            .await
            .map_err(context("read which gyms have their first night"))?;
        let mut offsets = offset::known(Unprepared(db), &gyms, ctx.now)
            .await
            .map_err(context("read the means of gyms"))?;
        let large = offset::large_enough(Unprepared(db), &gyms)
            .await
            .map_err(context("read the sizes of gyms"))?;
        for (gym, gap) in gaps {
            let mut model = models.remove(&gym);
            if model.is_none() {
                let known = match offsets.remove(&gym) {
                    Some(known) => known,
                    None if large.contains(&gym) => self.find_offset(ctx, db, gym).await?,
                    None => self.keep(offset::none(gym)),
                };
                model = Some(Model::moved_by(known));
            }
            let model = model.unwrap_or_default();
            let known = GymModel {
                model,
                gap,
                is_silent: silent.contains(&gym),
                is_first_night: first.contains(&gym),
            };
            self.models.insert(gym, known);
        }
        Ok(())
    }

    async fn find_offset(
        &mut self,
        ctx: &JobContext,
        db: &mut Transaction,
        gym: Uuid,
    ) -> std::result::Result<f64, JobError> {
        let found = offset::find(db, gym, ctx.now)
            .await
            .map_err(context("find the mean of a gym"))?;
        Ok(self.keep(found))
    }

    /// To be stored with the page.
    fn keep(&mut self, found: Offset) -> f64 {
        self.offsets.push(found);
        found.log_odds
    }
}

/// The readers of which of these gyms are silent.
async fn silent(db: Unprepared<'_>, gyms: &[Uuid]) -> Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select gym_id
           from visit_silences
          where gym_id = any($1)
            and ended_on is null",
        gyms,
    )
    .fetch_all(db)
    .await
}
