//! The document: every route and nothing else, and answers that keep to it.

use std::collections::BTreeSet;

use super::*;

mod answers;

async fn document(app: &App) -> Value {
    let reply = read(app, "/openapi.json").await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.headers["content-type"], "application/json");
    reply.body
}

/// The schema at a place in the document, with all it refers to.
fn schema_at(document: &Value, place: &str) -> jsonschema::Validator {
    let mut schema = document
        .pointer(place)
        .unwrap_or_else(|| panic!("{place}"))
        .clone();
    schema["components"] = document["components"].clone();
    jsonschema::validator_for(&schema).unwrap()
}

fn check(schema: &jsonschema::Validator, value: &Value, what: &str) {
    let errors: Vec<String> = schema
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:?}\n{value:#}");
}

/// The URL space, as callers know it.
const ROUTES: [&str; 17] = [
    "delete /api/jobs/{job}/pause",
    "get /",
    "get /api/jobs",
    "get /api/jobs/metrics",
    "get /api/jobs/{job}/runs",
    "get /api/runs/{id}",
    "get /health/live",
    "get /health/ready",
    "get /health/schedules",
    "get /jobs/{job}",
    "get /metrics",
    "get /openapi.json",
    "get /reports/{gym}/{week}",
    "get /runs/{id}",
    "post /api/cron/{job}",
    "post /api/jobs/{job}/pause",
    "post /api/qstash/failures",
];

#[tokio::test]
async fn every_route_is_in_it_and_nothing_else() {
    let app = App::new().await;
    let document = document(&app).await;
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert(format!("{method} {path}"));
            let method = method.to_uppercase().parse().unwrap();
            let reply = app.call(method, path, &[], "").await;
            let is_routed = reply.body["code"] != "not_found" && reply.status != 405;
            assert!(is_routed, "{path}: {reply:?}");
        }
    }
    assert_eq!(described, ROUTES.map(str::to_owned).into());
}

#[tokio::test]
async fn the_jobs_in_it_are_those_of_the_registry() {
    let document = document(&App::new().await).await;
    let names = &document["components"]["schemas"]["JobName"]["enum"];
    assert_eq!(*names, json!(jarvis_cron::jobs::ALL.names()));
}

#[tokio::test]
async fn what_it_refers_to_is_in_it() {
    let document = document(&App::new().await).await;
    assert_eq!(document["openapi"], "3.1.0");
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let place = reference.split('"').next().unwrap();
        assert!(document.pointer(place).is_some(), "{place}");
    }
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].to_string()));
            for security in operation["security"].as_array().unwrap() {
                for scheme in security.as_object().unwrap().keys() {
                    let place = format!("/components/securitySchemes/{scheme}");
                    assert!(document.pointer(&place).is_some(), "{scheme}");
                }
            }
        }
    }
}

#[tokio::test]
async fn its_examples_keep_to_their_schemas() {
    let document = document(&App::new().await).await;
    let mut seen = 0;
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        if let Some(example) = schema.get("example") {
            let validator = schema_at(&document, &format!("/components/schemas/{name}"));
            check(&validator, example, name);
            seen += 1;
        }
    }
    assert!(seen >= 5, "only {seen} examples");
}

/// The names in an object, at its first level.
fn names(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

#[tokio::test]
async fn its_examples_look_like_real_answers() {
    let app = App::new().await;
    let document = document(&app).await;
    let example = |schema: &str| document["components"]["schemas"][schema]["example"].clone();
    let run = app.deliver(JOB).await.body;
    assert_eq!(names(&run), names(&example("RunAnswer")));
    let refused = app.call(Method::GET, "/api/jobs", &[], "").await.body;
    assert_eq!(names(&refused), names(&example("Refused")));
    let health = app
        .call(Method::GET, "/health/schedules", &[], "")
        .await
        .body;
    assert_eq!(names(&health), names(&example("SchedulesHealth")));
    assert_eq!(
        names(&health["jobs"][0]),
        names(&example("SchedulesHealth")["jobs"][0])
    );
    for (path, schema) in [("/health/live", "Live"), ("/health/ready", "Ready")] {
        let answer = app.call(Method::GET, path, &[], "").await.body;
        assert_eq!(answer, example(schema));
    }
}

#[tokio::test]
async fn the_options_are_those_that_a_call_takes() {
    let app = App::new().await;
    let document = document(&app).await;
    let options = document["components"]["schemas"]["Options"]["properties"]
        .as_object()
        .unwrap();
    let accepted: BTreeSet<&str> = jarvis_cron::jobs::ALL
        .iter()
        .flat_map(|job| job.accepts.iter().copied())
        .collect();
    for option in &accepted {
        assert!(options.contains_key(*option), "{option}");
    }
    let schema = schema_at(&document, "/components/schemas/Options");
    let body = json!({ "dry_run": true, "limit": 5, "shard": { "index": 0, "count": 2 } });
    check(&schema, &body, "options");
    assert!(!schema.is_valid(&json!({ "dryrun": true })));
    assert!(!schema.is_valid(&json!({ "limit": 0 })));
    let parameters = document
        .pointer("/paths/~1api~1cron~1{job}/post/parameters")
        .unwrap();
    let in_query = parameters
        .as_array()
        .unwrap()
        .iter()
        .filter(|of| of["in"] == "query");
    assert_eq!(in_query.count(), options.len());
}
