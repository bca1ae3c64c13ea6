//! A call as it arrived.

use axum::http::HeaderMap;

/// A call as it arrived.
#[derive(Debug, Clone)]
pub struct Call {
    /// Such as `POST`.
    pub method: String,
    /// The path as it was written: a destination in it is not decoded.
    pub path: String,
    /// The query, without its question mark.
    pub query: String,
    /// All headers, names in lower case.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Call {
    /// The value of a header, or nothing.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it would change anything.
    pub(super) fn is_a_write(&self) -> bool {
        self.method != "GET"
    }
}
