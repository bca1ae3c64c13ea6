//! What a failure costs a policy.
//!
//! A row that cannot be erased is found by taking its neighbours one by one,
//! and passed, so that it keeps no other from being erased; where one after
//! the other fails, the policy is given up. Only a lost lease and a database
//! that is away stop the run.

use super::{PolicyRun, Stage};
use crate::database::Fault;
use crate::engine::JobError;
use crate::jobs::cleanup_old_data::{Results, TRIES};
use crate::retention::rules::Reach;

/// Rows in a row that the database refuses, before the policy is given up.
const MOST_REFUSED: u32 = 20;
/// Rows in a row that somebody holds, before the policy is given up: each
/// costs the time that is waited for its lock.
const MOST_HELD_UP: u32 = 3;

impl PolicyRun {
    /// Decides what becomes of a policy whose batch was not kept.
    pub(super) fn falter(&mut self, stop: JobError, results: &mut Results) -> Result<(), JobError> {
        if stop.took_too_long() {
            self.full_size = (self.span.size / 8).max(1);
            self.span.size = self.full_size;
            self.failures += 1;
        } else {
            match (&stop, stop.fault(), self.reached.take()) {
                (JobError::Fenced | JobError::Unreachable(_), ..) => return Err(stop),
                (_, Fault::Contended, _) if !self.span.careful => {
                    self.span.careful = true;
                    return Ok(());
                }
                (_, fault @ (Fault::Contended | Fault::Data), Some(reached)) => {
                    self.isolate(&reached, fault, &stop, results);
                }
                (_, Fault::Contended, None) => self.failures += 1,
                _ => self.failures = TRIES,
            }
        }
        if self.failures >= TRIES {
            self.stage = Stage::GivenUp;
            results.note(self.place, stop.to_string());
        }
        Ok(())
    }

    /// Some row of the batch cannot be erased: takes them one by one, and
    /// passes the one that it is. What somebody holds comes up again by
    /// itself; what is refused is told.
    fn isolate(&mut self, reached: &Reach, fault: Fault, stop: &JobError, results: &mut Results) {
        if reached.looked > 1 {
            self.span.size = 1;
            return;
        }
        self.stuck += 1;
        let most = if fault == Fault::Data {
            results.note(self.place, stop.to_string());
            MOST_REFUSED
        } else {
            MOST_HELD_UP
        };
        if self.stuck >= most {
            self.failures = TRIES;
            return;
        }
        self.skipped += reached.free();
        self.left = self.left.saturating_sub(1);
        if let Some(upto) = reached.upto() {
            self.span.after = upto;
        }
        if self.left == 0 {
            self.stage = Stage::AtTheLimit;
        }
    }
}
