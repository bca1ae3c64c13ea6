//! One question at a time, however many ask it.
//!
//! For routes that are open to all and ask the database: a flood of them holds
//! one connection. Promises that no answer is older than the request for it.

use tokio::sync::Mutex;
use tokio::time::Instant;

/// The last answer, and when it was asked for.
pub(super) struct SharedAnswer<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for SharedAnswer<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> SharedAnswer<T> {
    /// Asks `question`, unless another asked it after this caller had come.
    pub(super) async fn ask(&self, question: impl AsyncFnOnce() -> T) -> T {
        let came = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((asked, answer)) = &*last
            && *asked > came
        {
            return answer.clone();
        }
        let asked = Instant::now();
        let answer = question().await;
        *last = Some((asked, answer.clone()));
        answer
    }
}
