//! Answers for one reader: in no cache, in no search engine, loading nothing.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// An answer of that type under that content security policy. It hides from
/// other sites where its reader came from, because its address may be a link.
pub(super) fn private(body: String, content_type: &str, policy: &str) -> Response {
    let mut response = body.into_response();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "private, no-store"),
        (ROBOTS, "noindex"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
