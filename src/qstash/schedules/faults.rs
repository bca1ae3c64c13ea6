//! What is wrong with a file of schedules, all of it at once.

use std::fmt;

/// Every fault, each with its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// Something that cannot stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, such as `schedules[2].cron`.
    pub place: String,
    /// Why.
    pub why: String,
}

impl Faults {
    /// All of them, in the order they were found.
    #[must_use]
    pub fn all(&self) -> &[Fault] {
        &self.0
    }

    pub(super) fn add(&mut self, place: &str, why: &str) {
        self.0.push(Fault {
            place: place.to_owned(),
            why: why.to_owned(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the schedules cannot stand:")?;
        for Fault { place, why } in &self.0 {
            write!(f, "\n  {place}: {why}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
