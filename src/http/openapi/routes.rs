//! What may be called, by whom, and what comes back.

use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, Required, Response};

use super::parameters::{header, job, page, parameter, query, run_id, string};
use super::responses::{json, named, object, refused, text};

mod scheduled;

/// Every route.
pub(super) fn paths() -> Paths {
    let mut paths = Paths::new();
    let routes = open()
        .into_iter()
        .chain(scheduled::routes())
        .chain(read())
        .chain(changed())
        .chain(pages());
    for route in routes {
        let method = vec![route.method.clone()];
        paths.add_path_operation(route.path, method, route.operation());
    }
    paths
}

/// Who may call.
enum For {
    Everybody,
    Operators,
    Callers,
    Scheduler,
    Readers,
}

struct Route {
    method: HttpMethod,
    path: &'static str,
    summary: &'static str,
    who: For,
    parameters: Vec<Parameter>,
    body: Option<&'static str>,
    answers: Vec<(u16, Response)>,
    refusals: &'static [u16],
}

fn get(path: &'static str, summary: &'static str, answer: Response) -> Route {
    Route {
        method: HttpMethod::Get,
        path,
        summary,
        who: For::Operators,
        parameters: Vec::new(),
        body: None,
        answers: vec![(200, answer)],
        refusals: &[401, 500, 503],
    }
}

impl Route {
    /// A name for generated code: `get_api_jobs_job_runs`.
    fn id(&self) -> String {
        let method = match self.method {
            HttpMethod::Post => "post",
            HttpMethod::Delete => "delete",
            _ => "get",
        };
        let is_word = |c: char| c.is_ascii_alphanumeric();
        let words = self
            .path
            .split(|c| !is_word(c))
            .filter(|word| !word.is_empty());
        [method]
            .into_iter()
            .chain(words)
            .collect::<Vec<_>>()
            .join("_")
    }

    fn operation(self) -> OperationBuilder {
        let mut operation = OperationBuilder::new()
            .summary(Some(self.summary))
            .operation_id(Some(self.id()))
            .securities(Some(self.who.securities()))
            .parameters(Some(self.parameters));
        if let Some(schema) = self.body {
            let content = Content::new(Some(named(schema)));
            let body = RequestBodyBuilder::new().content("application/json", content);
            operation = operation.request_body(Some(body.required(Some(Required::False)).build()));
        }
        let answers = self.answers.into_iter();
        let refusals = self
            .refusals
            .iter()
            .map(|status| (*status, refused(*status)));
        for (status, response) in answers.chain(refusals) {
            operation = operation.response(status.to_string(), response);
        }
        operation
    }
}

impl For {
    fn securities(&self) -> Vec<SecurityRequirement> {
        let need = |name| SecurityRequirement::new(name, Vec::<String>::new());
        let operator = || vec![need("operator"), need("operator_in_a_browser")];
        let scheduler = || need("cron_secret").add("signature", Vec::<String>::new());
        match self {
            Self::Everybody => vec![SecurityRequirement::default()],
            Self::Operators => operator(),
            // A browser's password runs no job.
            Self::Callers => vec![scheduler(), need("operator")],
            Self::Scheduler => vec![scheduler()],
            Self::Readers => operator()
                .into_iter()
                .chain([SecurityRequirement::default()])
                .collect(),
        }
    }
}

/// Health: for everybody.
fn open() -> Vec<Route> {
    let health = |path, summary, schema, unwell: Option<&str>| {
        let mut route = get(path, summary, json("It is well.", schema));
        route.who = For::Everybody;
        route.refusals = &[];
        route
            .answers
            .extend(unwell.map(|what| (503, json(what, schema))));
        route
    };
    vec![
        health("/health/live", "The process answers", "Live", None),
        health(
            "/health/ready",
            "It can work: database and migrations",
            "Ready",
            Some("The database is away or lacks migrations."),
        ),
        health(
            "/health/schedules",
            "The scheduler calls every job at its times",
            "SchedulesHealth",
            Some("A job is overdue, or the database is away."),
        ),
    ]
}

/// What operators read.
fn read() -> Vec<Route> {
    let mut runs = get(
        "/api/jobs/{job}/runs",
        "The runs of a job, the latest first",
        json("A page of them.", "RunsPage"),
    );
    runs.parameters = [job()].into_iter().chain(page()).collect();
    runs.refusals = &[401, 404, 422, 500, 503];
    let mut run = get(
        "/api/runs/{id}",
        "One run",
        json("All the ledger knows of it.", "Run"),
    );
    run.parameters = vec![run_id()];
    run.refusals = &[401, 404, 500, 503];
    let prometheus = "text/plain; version=0.0.4; charset=utf-8";
    let mut figures = get(
        "/metrics",
        "The same figures, for Prometheus",
        text(
            "Samples; only `up` 0 while the database is away.",
            prometheus,
        ),
    );
    figures.refusals = &[401, 500];
    let mut document = get("/openapi.json", "This document", object("OpenAPI 3.1."));
    document.refusals = &[401, 500];
    vec![
        get(
            "/api/jobs",
            "When each job runs, and how it stands",
            json("Every job.", "Jobs"),
        ),
        get(
            "/api/jobs/metrics",
            "What all runs did together",
            json("The figures.", "Metrics"),
        ),
        runs,
        run,
        figures,
        document,
    ]
}

/// What operators change.
fn changed() -> Vec<Route> {
    let path = "/api/jobs/{job}/pause";
    let stands = || json("How the job stands now.", "JobStatus");
    let parameters = || vec![job(), header("X-Actor", "Who asks; stored.")];
    let mut pause = get(
        path,
        "Keep a job from running, in place of any pause before",
        stands(),
    );
    pause.method = HttpMethod::Post;
    pause.parameters = parameters();
    pause.body = Some("PauseRequest");
    pause.refusals = &[400, 401, 403, 404, 408, 413, 415, 422, 500, 503];
    let mut resume = get(path, "Let a job run again", stands());
    resume.method = HttpMethod::Delete;
    resume.parameters = parameters();
    resume.refusals = &[401, 403, 404, 408, 413, 500, 503];
    vec![pause, resume]
}

/// What people read.
fn pages() -> Vec<Route> {
    let html = |path, summary| get(path, summary, text("A page.", "text/html; charset=utf-8"));
    let mut one_job = html("/jobs/{job}", "A job and its runs, as a page");
    one_job.parameters = [job()].into_iter().chain(page()).collect();
    one_job.refusals = &[401, 404, 422, 500, 503];
    let mut run = html("/runs/{id}", "A run, as a page");
    run.parameters = vec![run_id()];
    run.refusals = &[401, 404, 500, 503];
    let mut report = html(
        "/reports/{gym}/{week}",
        "A weekly report: a page, or with .json or .csv behind the week",
    );
    report.who = For::Readers;
    report.refusals = &[401, 403, 404, 422, 500, 503];
    report.parameters = vec![
        parameter("gym", ParameterIn::Path, "Its slug.", string()),
        parameter(
            "week",
            ParameterIn::Path,
            "Such as 2026-W05, 2026-W05.json or 2026-W05.csv.",
            string(),
        ),
        query("lang", "`fr` or `en`; if not given, the gym's.", string()),
        query(
            "expires",
            "Of a shared link, which needs no secret.",
            string(),
        ),
        query("signature", "Of a shared link.", string()),
    ];
    vec![html("/", "The dashboard"), one_job, run, report]
}
