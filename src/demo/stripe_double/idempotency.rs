//! Idempotency keys, after <https://docs.stripe.com/api/idempotent_requests>.
//!
//! The first result of a key is stored, errors included, and given again to every later request
//! with that key and the same path and parameters. A key is held while its request is worked on,
//! and given back when that ends without a result. Keys are kept as long as the double lives.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::answer::{Answer, Problem, Reply};
use super::calls::Call;
use super::service::Shared;

/// The keys used so far.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<String, Use>);

#[derive(Debug)]
struct Use {
    asked: Asked,
    result: Option<Stored>,
}

/// What a key must not change: the path and the parameters, in whatever order.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    path: String,
    form: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
struct Stored {
    request_id: String,
    answer: Answer,
}

impl Keys {
    /// Holds the call's key for it; an `Err` is the answer when the key is not free.
    pub(super) fn hold(&mut self, key: &str, call: &Call) -> Result<(), Reply> {
        if key.is_empty() || key.len() > 255 {
            let problem = Problem::new(400, None, "Idempotency keys have 1 to 255 characters.");
            return Err(problem.into());
        }
        let mut form = call.form.clone();
        form.sort();
        let asked = Asked {
            path: call.path.clone(),
            form,
        };
        let used = match self.0.entry(key.to_owned()) {
            Entry::Vacant(free) => {
                free.insert(Use {
                    asked,
                    result: None,
                });
                return Ok(());
            }
            Entry::Occupied(used) => used.into_mut(),
        };
        Err(if used.asked != asked {
            Problem::other_request("This key was used with another path or parameters.").into()
        } else if let Some(Stored { request_id, answer }) = used.result.clone() {
            Reply::Replay {
                answer,
                original: request_id,
            }
        } else {
            let code = Some("idempotency_key_in_use");
            Problem::new(
                409,
                code,
                "A request with this key is still being worked on.",
            )
            .into()
        })
    }

    /// Stores the result of a key that is held.
    pub(super) fn settle(&mut self, key: &str, request_id: &str, answer: &Answer) {
        if let Some(used) = self.0.get_mut(key) {
            let stored = Stored {
                request_id: request_id.to_owned(),
                answer: answer.clone(),
            };
            used.result.get_or_insert(stored);
        }
    }

    fn give_back(&mut self, key: &str) {
        if self.0.get(key).is_some_and(|used| used.result.is_none()) {
            self.0.remove(key);
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
        self.state.lock().keys.give_back(self.key);
    }
}
