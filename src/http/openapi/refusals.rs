//! Refusals, as the document describes them.

use std::collections::BTreeMap;

use utoipa::openapi::schema::Type;
use utoipa::openapi::{
    Content, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder,
};

/// The refusal with this status, for the list of a handler's responses.
pub(in crate::http) struct Refuses<const STATUS: u16>;

impl<const STATUS: u16> utoipa::IntoResponses for Refuses<STATUS> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let (description, header) = described(STATUS);
        let schema = Ref::from_schema_name("Refused");
        let mut response = ResponseBuilder::new()
            .description(description)
            .content("application/json", Content::new(Some(schema)));
        if let Some((name, what)) = header {
            let text = ObjectBuilder::new().schema_type(Type::String).build();
            let header = HeaderBuilder::new()
                .schema(Some(text))
                .description(Some(what))
                .build();
            response = response.header(name, header);
        }
        BTreeMap::from([(STATUS.to_string(), response.into())])
    }
}

/// What a refusal with this status means, and the header that it carries.
const fn described(status: u16) -> (&'static str, Option<(&'static str, &'static str)>) {
    match status {
        400 => ("The body is no JSON object, or broke off.", None),
        401 => (
            "A credential is wrong or missing.",
            Some(("WWW-Authenticate", "Which credentials are accepted.")),
        ),
        403 => (
            "Sent by a page of another site, or a link that does not open it.",
            None,
        ),
        404 => ("There is none.", None),
        405 => ("Another method.", Some(("Allow", "The methods there are."))),
        408 => (
            "The body took longer than 15 seconds. Headers may take 10; slower ones get an empty body.",
            None,
        ),
        413 => (
            "The body is over 64 KiB. It is not read, so its caller stays unknown.",
            None,
        ),
        415 => ("The body is not JSON.", None),
        422 => (
            "An option is unknown, doubled, out of bounds, or of no use to the job.",
            None,
        ),
        489 => (
            "To QStash, in place of 400, 404, 415 and 422: no retry can fix it.",
            Some((
                "Upstash-NonRetryable-Error",
                "`true`: QStash gives up at once.",
            )),
        ),
        500 => ("A fault of ours; the log has the cause.", None),
        503 => (
            "The database is away, or the process is being stopped.",
            Some(("Retry-After", "Seconds after which to try again.")),
        ),
        _ => ("Refused.", None),
    }
}
