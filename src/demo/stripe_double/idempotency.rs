//! Idempotency keys, after <https://docs.stripe.com/api/idempotent_requests>.
//!
//! The first result of a key is stored, errors included, and given again to every later request
//! with that key and the same path and parameters. A key is held while its request is worked on,
//! and given back when that ends without a result. Keys are kept as long as the double lives.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::answer::Answer;
use super::call::Call;
use super::service::Shared;

/// The keys used so far.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<String, Use>);

/// What a key must not change, and what came of it.
#[derive(Debug)]
struct Use {
    path: String,
    /// In whatever order.
    form: Vec<(String, String)>,
    result: Option<Answer>,
}

impl Keys {
    /// Holds the call's key for it; an `Err` is the answer when the key is not free.
    pub(super) fn hold(&mut self, key: &str, call: &Call) -> Result<(), Answer> {
        if key.is_empty() || key.len() > 255 {
            let message = "Idempotency keys have 1 to 255 characters.";
            return Err(Answer::error(400, None, message));
        }
        let (path, mut form) = (call.path.clone(), call.form.clone());
        form.sort();
        let used = match self.0.entry(key.to_owned()) {
            Entry::Vacant(free) => {
                let result = None;
                free.insert(Use { path, form, result });
                return Ok(());
            }
            Entry::Occupied(used) => used.into_mut(),
        };
        if used.path != path || used.form != form {
            let message = "This key was used with another path or parameters.";
            return Err(Answer::error(400, None, message).with("type", "idempotency_error"));
        }
        Err(used.result.clone().unwrap_or_else(|| {
            let message = "A request with this key is still being worked on.";
            Answer::error(409, Some("idempotency_key_in_use"), message)
        }))
    }

    /// Stores the result of a key that is held.
    pub(super) fn settle(&mut self, key: &str, request_id: &str, answer: &Answer) {
        if let Some(used) = self.0.get_mut(key) {
            used.result.get_or_insert_with(|| Answer {
                original: Some(request_id.to_owned()),
                ..answer.clone()
            });
        }
    }
}

/// Gives a held key back when its request ends without a result, as when the caller leaves.
pub(super) struct Hold<'a> {
    pub(super) state: &'a Shared,
    pub(super) key: &'a str,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let Keys(used) = &mut self.state.lock().keys;
        if used.get(self.key).is_some_and(|used| used.result.is_none()) {
            used.remove(self.key);
        }
    }
}
