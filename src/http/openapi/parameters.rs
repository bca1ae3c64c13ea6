//! What a caller may say beside the body: in the path, the query, the headers.

use serde_json::json;
use utoipa::PartialSchema;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, RefOr, Required, Schema};

use crate::engine::Options;
use crate::engine::Status;
use crate::jobs;

/// Options may stand in the query too; a shard is written `0/4` there.
pub(super) fn options() -> Vec<Parameter> {
    let RefOr::T(Schema::Object(options)) = Options::schema() else {
        return Vec::new();
    };
    let written = |(name, schema): (String, RefOr<Schema>)| {
        let schema = if name == "shard" { string() } else { schema };
        query(&name, "As in the body, which must not have it too.", schema)
    };
    options.properties.into_iter().map(written).collect()
}

pub(super) fn caller() -> [Parameter; 3] {
    [
        header("Upstash-Message-Id", "QStash's message: settled once."),
        header("X-Actor", "Of an operator: who asks; stored."),
        header("X-Reason", "Of an operator: why; stored."),
    ]
}

pub(super) fn page() -> [Parameter; 3] {
    let statuses = Status::ALL.map(|status| json!(status.name()));
    let status = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(statuses));
    let limit = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(200));
    [
        query("status", "Only runs in this status.", status.into()),
        query("before", "The `next` of the page before.", uuid()),
        query("limit", "At most so many; 50 if not given.", limit.into()),
    ]
}

pub(super) fn job() -> Parameter {
    let names = jobs::ALL.iter().map(|job| json!(job.name));
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names));
    parameter("job", ParameterIn::Path, "The job.", schema.into())
}

pub(super) fn run_id() -> Parameter {
    parameter("id", ParameterIn::Path, "The run.", uuid())
}

pub(super) fn query(name: &str, what: &str, schema: RefOr<Schema>) -> Parameter {
    parameter(name, ParameterIn::Query, what, schema)
}

pub(super) fn header(name: &str, what: &str) -> Parameter {
    parameter(name, ParameterIn::Header, what, string())
}

pub(super) fn parameter(
    name: &str,
    place: ParameterIn,
    what: &str,
    schema: RefOr<Schema>,
) -> Parameter {
    let required = if place == ParameterIn::Path {
        Required::True
    } else {
        Required::False
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(what))
        .schema(Some(schema))
        .build()
}

pub(super) fn string() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).into()
}

fn uuid() -> RefOr<Schema> {
    let format = SchemaFormat::KnownFormat(KnownFormat::Uuid);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(format))
        .into()
}
