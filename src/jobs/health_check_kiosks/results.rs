//! What a run answers.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::alerts::Counted;
use super::gyms::Gym;
use super::statuses::Turned;
use super::{ERRORS, SAMPLES};
use crate::engine::JobContext;

/// What a run found and did, or in a dry run would do.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(super) struct Results {
    /// Kiosks looked at: the sum of the next four.
    pub(super) total: i64,
    /// Kiosks heard in the last five minutes of opening time.
    pub(super) online: i64,
    /// Kiosks silent for longer than that, or with a clock that runs ahead.
    pub(super) degraded: i64,
    /// Kiosks silent for more than thirty minutes of opening time, or never
    /// seen.
    pub(super) offline: i64,
    /// Kiosks that are not watched.
    pub(super) untouched: i64,
    /// Kiosks whose status changed.
    pub(super) status_changed: i64,
    /// Alerts that are new.
    pub(super) alerts_opened: i64,
    /// Alerts that were resolved.
    pub(super) alerts_resolved: i64,
    /// Alerts that grew more severe.
    pub(super) alerts_escalated: i64,
    /// The mean uptime of the kiosks that have one, from 0 to 1.
    pub(super) uptime: Option<f64>,
    /// Most of the fleet fell silent at once, so nothing was changed.
    #[serde(skip_serializing_if = "is_false")]
    pub(super) fleet_silent: bool,
    /// What could not be done, and why; the first fifty.
    pub(super) errors: Vec<GymError>,
    /// In a dry run, the first fifty of each action: kiosks by their ids,
    /// alerts by their keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) samples: BTreeMap<&'static str, Vec<String>>,
    #[serde(skip)]
    uptimes: (f64, u32),
}

/// A gym that was left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct GymError {
    /// The gym.
    pub(super) gym_id: Uuid,
    /// What went wrong.
    pub(super) error: String,
}

impl Results {
    /// Adds a batch of gyms.
    pub(super) fn add(&mut self, ctx: &JobContext, turned: &Turned, counted: Counted) {
        self.online += counted.online;
        self.degraded += counted.degraded;
        self.offline += counted.offline;
        self.untouched += counted.untouched;
        self.total = self.online + self.degraded + self.offline + self.untouched;
        self.status_changed += turned.kiosks;
        let kiosks = turned.samples.iter().map(Uuid::to_string).collect();
        self.sample(ctx, "status_changed", kiosks);
        self.alerts_opened += self.sample(ctx, "alerts_opened", counted.opened);
        self.alerts_resolved += self.sample(ctx, "alerts_resolved", counted.resolved);
        self.alerts_escalated += self.sample(ctx, "alerts_escalated", counted.escalated);
    }

    /// Adds the uptimes of a batch to the mean.
    pub(super) fn measured(&mut self, uptimes: impl Iterator<Item = f32>) {
        for uptime in uptimes {
            self.uptimes.0 += f64::from(uptime);
            self.uptimes.1 += 1;
        }
        let (sum, kiosks) = self.uptimes;
        let mean = sum / f64::from(kiosks);
        self.uptime = (kiosks > 0).then(|| (mean * 1e4).round() / 1e4);
    }

    /// Notes a gym that was left alone, with its kiosks.
    pub(super) fn leave(&mut self, gym: &Gym, error: String) {
        self.untouched += gym.kiosks;
        self.total += gym.kiosks;
        self.error(gym, error);
    }

    /// Notes what could not be done for a gym.
    pub(super) fn error(&mut self, gym: &Gym, error: String) {
        if self.errors.len() < ERRORS {
            let gym_id = gym.id;
            self.errors.push(GymError { gym_id, error });
        }
    }

    /// Counts what was done; a dry run names the first of it.
    pub(super) fn sample(
        &mut self,
        ctx: &JobContext,
        action: &'static str,
        names: Vec<String>,
    ) -> i64 {
        let count = i64::try_from(names.len()).unwrap_or(i64::MAX);
        if ctx.options.dry_run && count > 0 {
            let samples = self.samples.entry(action).or_default();
            let room = usize::try_from(SAMPLES).unwrap_or_default();
            let room = room.saturating_sub(samples.len());
            samples.extend(names.into_iter().take(room));
        }
        count
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_false(flag: &bool) -> bool {
    !flag
}
