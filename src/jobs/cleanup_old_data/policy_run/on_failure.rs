//! What a failure costs a policy.
//!
//! A row that cannot be erased costs no other: its neighbours are erased one by
//! one, and it is skipped. A batch that takes too long is done with fewer rows,
//! down to one. Where too many fail one after the other, the policy is given
//! up. Only a lost lease and an unreachable database stop the run.

use super::{PolicyRun, Stage};
use crate::database::Fault;
use crate::engine::JobError;
use crate::foreign_text::ForeignText;
use crate::jobs::cleanup_old_data::batch::ERASE;
use crate::jobs::cleanup_old_data::results::Results;
use crate::retention::target::{BatchBounds, Erased, LockPolicy};

/// How often in a row a batch may fail before its policy is given up.
const MAX_FAILURES: u32 = 3;
/// Rows in a row that the database refuses, before the policy is given up: they
/// take a night.
const MAX_REFUSED: i64 = 100_000;
/// Rows in a row that another transaction holds, or that take too long alone,
/// before the policy is given up: each costs the time that is waited.
const MAX_WAITED: i64 = 3;
/// The most rows that one transaction erases one by one.
pub(super) const MOST_EACH: i64 = 500;

impl PolicyRun {
    /// Decides what becomes of a policy whose batch was not kept.
    pub(super) fn on_failure(
        &mut self,
        error: JobError,
        found: Option<BatchBounds>,
        results: &mut Results,
    ) -> Result<(), JobError> {
        if error.took_too_long() {
            self.do_fewer(found, &error, results);
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

    /// A batch took too long: the next has fewer rows. A row that takes too long
    /// alone is skipped.
    fn do_fewer(&mut self, found: Option<BatchBounds>, error: &JobError, results: &mut Results) {
        if self.size > 1 {
            self.full_size = (self.size / 8).max(1);
            self.size = self.full_size;
            self.progress.full_size = Some(self.full_size);
            return;
        }
        match found {
            Some(bounds) => self.skip(&bounds, MAX_WAITED, Some(error), results),
            None => self.failures = MAX_FAILURES,
        }
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
        let is_refused = fault == Fault::Data;
        if bounds.looked <= 1 {
            let max = if is_refused { MAX_REFUSED } else { MAX_WAITED };
            self.skip(bounds, max, Some(error).filter(|_| is_refused), results);
        } else if is_refused && self.target.facts().erases_each && !self.each {
            self.each = true;
            self.size = self.size.min(MOST_EACH);
        } else {
            self.size = 1;
        }
    }

    /// Skips the row, whose `error` is reported.
    fn skip(
        &mut self,
        bounds: &BatchBounds,
        max: i64,
        error: Option<&JobError>,
        results: &mut Results,
    ) {
        let passed = bounds.free();
        if let Some(error) = error {
            results.note(self.index, error.to_string());
            self.progress.refused += passed;
            self.move_past(bounds, 0);
        } else {
            self.progress.skipped += passed;
            self.move_past(bounds, passed.unsigned_abs());
        }
        self.stuck += 1;
        self.give_up_after(max);
    }

    /// Reports what was refused in a batch whose rows were erased one by one,
    /// or ends that.
    pub(super) fn note_refused(&mut self, erased: &Erased, results: &mut Results) {
        if let Some(error) = &erased.first_error {
            let error = format!("{ERASE}: {}", ForeignText::new(error));
            results.note(self.index, error);
        }
        self.stuck = if erased.rows > 0 || erased.refused == 0 {
            0
        } else {
            self.stuck + erased.refused
        };
        // Where few are refused, most batches have none of them.
        self.each &= erased.refused > erased.rows;
        self.give_up_after(MAX_REFUSED);
    }

    fn give_up_after(&mut self, max: i64) {
        if self.stuck >= max {
            self.failures = MAX_FAILURES;
            self.stage = Stage::GivenUp;
        }
    }
}
