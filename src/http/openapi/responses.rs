//! What comes back, put together for the routes: status, body, headers.

use utoipa::openapi::schema::{OneOfBuilder, Type};
use utoipa::openapi::{
    Content, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema,
};

/// A schema of the document, by its name.
pub(super) fn named(schema: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(schema))
}

/// An answer in JSON.
pub(super) fn json(description: &str, schema: &str) -> Response {
    let content = Content::new(Some(named(schema)));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
        .build()
}

/// An answer that is one of two kinds of JSON.
pub(super) fn either(description: &str, one: &str, other: &str) -> Response {
    let schema = OneOfBuilder::new().item(named(one)).item(named(other));
    let content = Content::new(Some(RefOr::T(Schema::OneOf(schema.build()))));
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
        .build()
}

/// An answer that is a text of that type.
pub(super) fn text(description: &str, kind: &str) -> Response {
    let schema = Schema::Object(ObjectBuilder::new().schema_type(Type::String).build());
    ResponseBuilder::new()
        .description(description)
        .content(kind, Content::new(Some(RefOr::T(schema))))
        .build()
}

/// A refusal; the status says which.
pub(super) fn refused(status: u16) -> Response {
    let (description, header) = match status {
        400 => ("The body is no JSON object, or broke off.", None),
        401 => (
            "A credential is wrong or missing.",
            Some("WWW-Authenticate"),
        ),
        403 => (
            "Sent by a page of another site, or a link that does not open it.",
            None,
        ),
        404 => ("There is none.", None),
        405 => ("Another method.", Some("Allow")),
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
            "To QStash, in place of 400, 404, 415 and 422: no retry can mend it.",
            Some("Upstash-NonRetryable-Error"),
        ),
        500 => ("A fault of ours; the log has the cause.", None),
        503 => (
            "The database is away, or the process is being stopped.",
            Some("Retry-After"),
        ),
        _ => ("Refused.", None),
    };
    match header {
        Some(name) => with_header(json(description, "Refused"), name),
        None => json(description, "Refused"),
    }
}

/// An answer that is any JSON object.
pub(super) fn object(description: &str) -> Response {
    let schema = Schema::Object(ObjectBuilder::new().schema_type(Type::Object).build());
    ResponseBuilder::new()
        .description(description)
        .content("application/json", Content::new(Some(RefOr::T(schema))))
        .build()
}

/// An answer with a header that it carries.
pub(super) fn with_header(mut response: Response, name: &str) -> Response {
    let what = match name {
        "Retry-After" => "Seconds after which to try again.",
        "WWW-Authenticate" => "How to prove oneself.",
        "Allow" => "The methods there are.",
        "Upstash-NonRetryable-Error" => "`true`: QStash gives up at once.",
        _ => "",
    };
    let schema = Schema::Object(ObjectBuilder::new().schema_type(Type::String).build());
    let header = HeaderBuilder::new()
        .schema(Some(schema))
        .description(Some(what));
    let header = RefOr::T(header.build());
    response.headers.insert(name.to_owned(), header);
    response
}
