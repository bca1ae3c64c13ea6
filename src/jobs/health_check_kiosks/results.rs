//! What a run answers.

use serde::Serialize;
use uuid::Uuid;

use super::alerts::Counted;
use super::fleet::Fleet;
use super::gyms::Gym;
use super::statuses::Turned;
use super::uptime;
use crate::engine::JobContext;
use crate::engine::results::{self, Samples};
use crate::gyms::uptime::Measured;

/// What a run found and did, or in a dry run would do.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(super) struct Results {
    /// Kiosks looked at: the sum of the next four.
    pub(super) total: i64,
    /// Kiosks heard in the last five minutes of opening time, or two of their
    /// heartbeats.
    pub(super) online: i64,
    /// Kiosks silent for longer than that, or with a clock that runs ahead.
    pub(super) degraded: i64,
    /// Kiosks silent for more than thirty minutes of opening time and four of
    /// their heartbeats, or never seen.
    pub(super) offline: i64,
    /// Kiosks that are not watched.
    pub(super) untouched: i64,
    /// Kiosks whose status changed.
    pub(super) status_changed: i64,
    /// Alerts that are new.
    pub(super) alerts_opened: usize,
    /// Alerts that were resolved.
    pub(super) alerts_resolved: usize,
    /// Alerts that grew more severe.
    pub(super) alerts_escalated: usize,
    /// The mean uptime of the kiosks that have one, from 0 to 1.
    pub(super) uptime: Option<f64>,
    /// Most of the fleet fell silent at once: in the first night nothing was
    /// changed, later all but the kiosks that are silent with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) fleet_silent: bool,
    /// What could not be done, and why; the first fifty.
    pub(super) errors: Vec<GymError>,
    /// In a dry run, the first fifty of each action: kiosks by their ids,
    /// alerts by their keys.
    #[serde(skip_serializing_if = "Samples::is_empty")]
    samples: Samples,
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
    pub(super) fn add(&mut self, ctx: &JobContext, turned: &Turned, counted: &Counted) {
        self.online += counted.online;
        self.degraded += counted.degraded;
        self.offline += counted.offline;
        self.untouched += counted.untouched;
        self.total = self.online + self.degraded + self.offline + self.untouched;
        self.status_changed += turned.kiosks;
        self.samples.add(ctx, "status_changed", &turned.samples);
        self.opened(ctx, &counted.opened);
        self.resolved(ctx, &counted.resolved);
        self.alerts_escalated += self
            .samples
            .add(ctx, "alerts_escalated", &counted.escalated);
    }

    /// Adds the uptimes of a batch to the mean.
    pub(super) fn measured(&mut self, measured: &[Measured]) {
        for uptime in measured.iter().filter_map(uptime::of) {
            self.uptimes.0 += f64::from(uptime);
            self.uptimes.1 += 1;
        }
        let (sum, kiosks) = self.uptimes;
        let mean = sum / f64::from(kiosks);
        self.uptime = (kiosks > 0).then(|| (mean * 1e4).round() / 1e4);
    }

    /// The statuses stay as they are.
    pub(super) fn stand(&mut self, fleet: &Fleet) {
        self.total = fleet.online + fleet.degraded + fleet.offline + fleet.untouched;
        self.online = fleet.online;
        self.degraded = fleet.degraded;
        self.offline = fleet.offline;
        self.untouched = fleet.untouched;
    }

    /// Notes a gym that was left alone, with its kiosks.
    pub(super) fn leave(&mut self, gym: &Gym, error: String) {
        self.untouched += gym.kiosks;
        self.total += gym.kiosks;
        self.error(gym, error);
    }

    /// Notes what could not be done for a gym.
    pub(super) fn error(&mut self, gym: &Gym, error: String) {
        let gym_id = gym.id;
        results::name(&mut self.errors, [GymError { gym_id, error }]);
    }

    /// Counts alerts that are new.
    pub(super) fn opened(&mut self, ctx: &JobContext, keys: &[String]) {
        self.alerts_opened += self.samples.add(ctx, "alerts_opened", keys);
    }

    /// Counts alerts that were resolved.
    pub(super) fn resolved(&mut self, ctx: &JobContext, keys: &[String]) {
        self.alerts_resolved += self.samples.add(ctx, "alerts_resolved", keys);
    }
}
