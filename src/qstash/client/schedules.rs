//! Schedules in QStash's REST API.
//!
//! Promises to read leniently: only an id is needed, unknown fields are
//! ignored, and a field of another kind than documented counts as absent.
//! A listed schedule may hold secrets in clear, so [`Listed`] does not print.
//!
//! Source: <https://upstash.com/docs/qstash/api-reference/schedules/list-schedules>
//! and its neighbours.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{Client, Failure};

mod listed;

pub use listed::{HeaderText, Listed};

impl Client {
    /// `GET /v2/schedules`: all of the account, foreign ones included.
    ///
    /// # Errors
    /// What QStash, or the way to it, said instead.
    pub async fn schedules(&self) -> Result<Vec<Listed>, Failure> {
        match self.ask(Method::GET, "v2/schedules").await? {
            Value::Array(entries) => entries.iter().map(read).collect(),
            // An account without any.
            Value::Null => Ok(Vec::new()),
            _ => Err(Failure::Unclear("no list of schedules".into())),
        }
    }

    /// `GET /v2/schedules/{id}`; `None` when there is none.
    ///
    /// # Errors
    /// What QStash, or the way to it, said instead.
    pub async fn schedule(&self, id: &str) -> Result<Option<Listed>, Failure> {
        match self.ask(Method::GET, &path(id, "")).await {
            Ok(entry) => read(&entry).map(Some),
            Err(Failure::NotFound(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// `POST /v2/schedules/{destination}`: makes the schedule, or replaces all
    /// of it. Nothing is merged, so the headers have to be all of them. Whether
    /// it resumes a schedule that is paused is documented nowhere.
    ///
    /// # Errors
    /// What QStash, or the way to it, said instead.
    pub async fn put_schedule(
        &self,
        destination: &str,
        headers: HeaderMap,
        body: String,
    ) -> Result<(), Failure> {
        let path = format!("v2/schedules/{destination}");
        self.call(Method::POST, &path, headers, body).await?;
        Ok(())
    }

    /// `DELETE /v2/schedules/{id}`; messages that were made before are still
    /// delivered. Deleting one that does not exist succeeds.
    ///
    /// # Errors
    /// What QStash, or the way to it, said instead.
    pub async fn delete_schedule(&self, id: &str) -> Result<(), Failure> {
        match self.ask(Method::DELETE, &path(id, "")).await {
            Ok(_) | Err(Failure::NotFound(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// `PATCH /v2/schedules/{id}/pause` or `…/resume`: ticks of a paused
    /// schedule are skipped, not kept for later.
    ///
    /// # Errors
    /// What QStash, or the way to it, said instead.
    pub async fn set_paused(&self, id: &str, is_paused: bool) -> Result<(), Failure> {
        let verb = if is_paused { "/pause" } else { "/resume" };
        self.ask(Method::PATCH, &path(id, verb)).await?;
        Ok(())
    }

    /// A call that says all in its path.
    pub(super) async fn ask(&self, method: Method, path: &str) -> Result<Value, Failure> {
        self.call(method, path, HeaderMap::new(), String::new())
            .await
    }
}

fn path(id: &str, verb: &str) -> String {
    format!("v2/schedules/{id}{verb}")
}

fn read(entry: &Value) -> Result<Listed, Failure> {
    Listed::read(entry).ok_or_else(|| Failure::Unclear("a schedule without an id".into()))
}
