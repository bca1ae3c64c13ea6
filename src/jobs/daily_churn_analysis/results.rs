//! What a run answers.

use serde::Serialize;
use uuid::Uuid;

use super::Accuracy;
use crate::engine::JobError;
use crate::engine::results::{self, Samples};

/// What a run did, or in a dry run would do.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(super) struct Results {
    /// Members there are to score, over all runs of the day.
    pub(super) total: i64,
    /// Members whose level this run wrote.
    pub(super) processed: usize,
    /// Members who could not be written.
    pub(super) errors: u64,
    /// Members who are at high risk now.
    pub(super) high_risk: i64,
    /// Members who are at critical risk now.
    pub(super) critical_risk: i64,
    /// Members who are new.
    pub(super) new: i64,
    /// Members who joined a while ago and never came.
    pub(super) never_visited: i64,
    /// Alerts opened for members who entered the risk, and for gyms.
    pub(super) alerts_opened: usize,
    /// Members at risk that this run counted in the alert of a first night.
    pub(super) first_night_at_risk: usize,
    /// Alerts resolved of members who left it or are not scored any more.
    pub(super) alerts_resolved: usize,
    /// Scores deleted of members who are not scored any more.
    pub(super) forgotten: usize,
    /// Scores, alerts and rows of history that another transaction held; the
    /// next run deletes or resolves them.
    pub(super) forgotten_later: u64,
    /// Predictions of thirty days ago that got their outcome.
    pub(super) outcomes_filled: i64,
    /// How well the newest predictions with outcomes ranked, 0.5 being blind
    /// and 1 perfect; none when nothing is known.
    pub(super) live_auc: Option<f64>,
    /// Their mean squared error.
    pub(super) live_brier: Option<f64>,
    /// The same by gym, of the fifty with the most predictions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) gyms: Vec<Accuracy>,
    /// Members who could not be written, and why; the first fifty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) failures: Vec<MemberError>,
    /// In a dry run, the first fifty ids of each action.
    #[serde(skip_serializing_if = "Samples::is_empty")]
    pub(super) samples: Samples,
}

/// A member who could not be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct MemberError {
    /// The member.
    pub(super) member_id: Uuid,
    /// What went wrong.
    pub(super) error: String,
}

impl Results {
    /// Counts a member that the database refuses; the next run tries again.
    pub(super) fn refused(&mut self, member_id: Uuid, error: &JobError) {
        self.errors += 1;
        let error = error.to_string();
        results::name(&mut self.failures, [MemberError { member_id, error }]);
    }
}
