//! What the results of the jobs have in common: they count all, and name the
//! first fifty.

use std::collections::BTreeMap;

use serde::Serialize;

use super::JobContext;

/// So many are named at the most.
pub const MOST_NAMED: u8 = 50;

/// Adds to a list of the results, as long as there is room.
pub fn name<T>(list: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    let room = usize::from(MOST_NAMED).saturating_sub(list.len());
    list.extend(more.into_iter().take(room));
}

/// In a dry run, the first ids of each action.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Samples(BTreeMap<&'static str, Vec<String>>);

impl Samples {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many more of this action are wanted; none in a real run.
    #[must_use]
    pub fn room(&self, ctx: &JobContext, action: &str) -> usize {
        let given = self.0.get(action).map_or(0, Vec::len);
        if ctx.options.dry_run {
            usize::from(MOST_NAMED).saturating_sub(given)
        } else {
            0
        }
    }

    /// Adds what was done; answers how many that is.
    pub fn add<T: ToString>(&mut self, ctx: &JobContext, action: &'static str, ids: &[T]) -> usize {
        let room = self.room(ctx, action).min(ids.len());
        if room > 0 {
            let samples = self.0.entry(action).or_default();
            samples.extend(ids[..room].iter().map(ToString::to_string));
        }
        ids.len()
    }
}
