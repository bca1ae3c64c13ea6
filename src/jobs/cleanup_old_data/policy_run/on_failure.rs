//! What a failure costs a policy.
//!
//! A row that cannot be erased is found by erasing its neighbours one by one,
//! and skipped, so that it keeps no other from being erased; where one after
//! the other fails, the policy is given up. Only a lost lease and an
//! unreachable database stop the run.

use super::{PolicyRun, Stage};
use crate::database::Fault;
use crate::engine::JobError;
use crate::jobs::cleanup_old_data::results::Results;
use crate::retention::target::{BatchBounds, LockPolicy};

/// How often in a row a batch may fail before its policy is given up.
const MAX_FAILURES: u32 = 3;
/// Rows in a row that the database refuses, before the policy is given up.
const MAX_REFUSED: u32 = 20;
/// Rows in a row that another transaction holds, before the policy is given
/// up: each costs the time that is waited for its lock.
const MAX_LOCKED: u32 = 3;

impl PolicyRun {
    /// Decides what becomes of a policy whose batch was not kept.
    pub(super) fn on_failure(
        &mut self,
        error: JobError,
        found: Option<BatchBounds>,
        results: &mut Results,
    ) -> Result<(), JobError> {
        if error.took_too_long() {
            self.full_size = (self.size / 8).max(1);
            self.size = self.full_size;
            self.failures += 1;
        } else {
            match (&error, error.fault(), found) {
                (JobError::Fenced | JobError::Unreachable(_), ..) => return Err(error),
                (_, Fault::Contended, _) if self.locks == LockPolicy::Wait => {
                    self.locks = LockPolicy::SkipLocked;
                }
                (_, fault @ (Fault::Contended | Fault::Data), Some(bounds)) => {
                    self.isolate(&bounds, fault, &error, results);
                }
                (_, Fault::Contended, None) => self.failures += 1,
                _ => self.failures = MAX_FAILURES,
            }
        }
        if self.failures >= MAX_FAILURES {
            self.stage = Stage::GivenUp;
            results.note(self.index, error.to_string());
        }
        Ok(())
    }

    /// Some row of the batch cannot be erased: takes them one by one, and
    /// skips that row. A locked row is found again by the next run; a refused
    /// row is reported.
    fn isolate(
        &mut self,
        bounds: &BatchBounds,
        fault: Fault,
        error: &JobError,
        results: &mut Results,
    ) {
        if bounds.looked > 1 {
            self.size = 1;
            return;
        }
        self.stuck += 1;
        let max = if fault == Fault::Data {
            results.note(self.index, error.to_string());
            MAX_REFUSED
        } else {
            MAX_LOCKED
        };
        if self.stuck >= max {
            self.failures = MAX_FAILURES;
            return;
        }
        self.progress.skipped += bounds.free();
        self.move_past(bounds, 1);
    }
}
