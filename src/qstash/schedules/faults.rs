//! All faults of a file of schedules.

/// Every fault: its place, such as `schedules[2].cron`, and what to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("the schedules are invalid:\n  {}", .0.join("\n  "))]
pub struct Faults(Vec<String>);

impl Faults {
    pub(super) fn one(place: &str, why: &str) -> Self {
        Self(vec![format!("{place}: {why}")])
    }

    pub(super) fn add(&mut self, place: &str, why: &str) {
        self.0.push(format!("{place}: {why}"));
    }

    /// Adds a fault, unless the condition `holds`.
    pub(super) fn unless(&mut self, holds: bool, place: &str, why: &str) {
        if !holds {
            self.add(place, why);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
