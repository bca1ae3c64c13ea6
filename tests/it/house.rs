//! The rules of the house, as `src/lib.rs` prints them.

use std::fs;
use std::path::{Path, PathBuf};

use jarvis_cron::jobs;
use serde_json::Value;

mod migrations;

/// A file may use the modules of a later row, or of its own.
const ROWS: [&[&str]; 12] = [
    &["main"],
    &["cli", "demo"],
    &["http"],
    &["config"],
    &["views"],
    &["jobs"],
    &["churn", "gyms", "reports", "retention", "shop"],
    &["engine"],
    &["alerts"],
    &["stripe", "qstash", "resend"],
    &["signed_links", "outbound"],
    &["database", "foreign_text", "telemetry"],
];

/// The modules that hold statements.
const WITH_SQL: [&str; 11] = [
    "alerts",
    "churn",
    "database",
    "demo",
    "engine",
    "jobs",
    "reports",
    "retention",
    "shop",
    "views",
    "gyms",
];

/// The longest file, in lines.
const MAX_LINES: usize = 300;

struct Source {
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn sources(folder: &str) -> Vec<Source> {
    let sources = files(folder, "rs");
    assert!(sources.len() > 10, "too few files in {folder}");
    sources
}

/// The files of that kind in a folder and below it.
fn files(folder: &str, kind: &str) -> Vec<Source> {
    fn walk(folder: &Path, kind: &str, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, kind, files);
            } else if path.extension().is_some_and(|extension| extension == kind) {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&root().join(folder), kind, &mut files);
    files
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).unwrap(),
            path: path.strip_prefix(root()).unwrap().display().to_string(),
        })
        .collect()
}

impl Source {
    /// The module below `src` that the file belongs to.
    fn module(&self) -> &str {
        self.path
            .trim_start_matches("src/")
            .split(['/', '.'])
            .next()
            .unwrap()
    }

    fn row(module: &str) -> Option<usize> {
        ROWS.iter().position(|row| row.contains(&module))
    }

    /// The code without its comments.
    fn code(&self) -> String {
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        self.text
            .lines()
            .filter(is_code)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The modules of this crate that the code names.
    fn uses(&self) -> Vec<String> {
        let code = self.code();
        let mut modules = Vec::new();
        for part in code.split("crate::").skip(1) {
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            let names: Vec<String> = match part.strip_prefix('{') {
                Some(list) => list
                    .split('}')
                    .next()
                    .unwrap()
                    .split(',')
                    .map(|name| name.trim().chars().take_while(|c| is_name(*c)).collect())
                    .collect(),
                None => vec![part.chars().take_while(|c| is_name(*c)).collect()],
            };
            modules.extend(names.into_iter().filter(|name| !name.is_empty()));
        }
        modules
    }
}

#[test]
fn imports_point_one_way() {
    let mut seen = 0;
    for source in sources("src") {
        let Some(own) = Source::row(source.module()) else {
            assert_eq!(source.module(), "lib", "{} is in no row", source.path);
            continue;
        };
        for used in source.uses() {
            let row = Source::row(&used)
                .unwrap_or_else(|| panic!("{} uses {used}, which is in no row", source.path));
            assert!(row >= own, "{} uses {used}, which is above it", source.path);
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} imports were seen");
}

#[test]
fn only_http_knows_axum() {
    for source in sources("src") {
        let may = source.module() == "http" || source.path.contains("double");
        assert!(
            may || !source.code().contains("axum::"),
            "{} knows axum",
            source.path
        );
    }
}

#[test]
fn only_modules_below_http_hold_sql() {
    for source in sources("src") {
        let may = WITH_SQL.contains(&source.module());
        assert!(
            may || !source.code().contains("sqlx::query"),
            "{} holds SQL",
            source.path
        );
    }
}

#[test]
fn only_config_reads_the_environment() {
    for source in sources("src") {
        let reads = ["env::var", "env::vars", "env::var_os"];
        let reads = reads.iter().any(|read| source.code().contains(read));
        assert!(
            !reads || source.path == "src/config/variables.rs",
            "{} reads the environment",
            source.path
        );
    }
}

#[test]
fn only_the_command_line_reads_the_registry() {
    for source in sources("src") {
        let may = ["cli", "demo", "jobs"].contains(&source.module());
        let reads = source.uses().iter().any(|used| used == "jobs");
        assert!(may || !reads, "{} reads the registry", source.path);
    }
}

#[test]
fn no_job_knows_the_ledger_or_another_job() {
    let names: Vec<String> = jobs::ALL
        .iter()
        .map(|job| job.name.replace('-', "_"))
        .collect();
    for source in sources("src/jobs") {
        let own = source
            .path
            .trim_start_matches("src/jobs/")
            .split(['/', '.'])
            .next()
            .unwrap();
        let code = source.code();
        assert!(
            !code.contains("job_runs"),
            "{} knows the ledger",
            source.path
        );
        for other in names.iter().filter(|name| *name != own && own != "mod") {
            let uses = code.contains(&format!("{other}::"));
            assert!(!uses, "{} uses {other}", source.path);
        }
    }
}

#[test]
fn no_statement_of_a_job_reads_the_clock() {
    let folders = ["alerts", "churn", "jobs", "retention", "shop"];
    let of = |kind| {
        folders
            .iter()
            .flat_map(move |folder| files(&format!("src/{folder}"), kind))
    };
    let statements: Vec<Source> = of("sql").chain(of("rs")).collect();
    assert!(statements.len() > 50, "too few files");
    for source in statements {
        for clock in [
            "Utc::now",
            "SystemTime",
            "Instant",
            "now()",
            "current_timestamp",
            "clock_timestamp",
        ] {
            assert!(
                !source.code().contains(clock),
                "{} reads the clock: {clock}",
                source.path
            );
        }
    }
}

#[test]
fn every_module_says_what_it_owns_and_fits_a_few_screens() {
    for source in sources("src").into_iter().chain(sources("tests")) {
        let path = &source.path;
        let opens = source.text.starts_with("//! ");
        assert!(opens, "{path} does not open with a sentence");
        let lines = source.text.lines().count();
        assert!(lines <= MAX_LINES, "{path} has {lines} lines");
    }
}

#[test]
fn every_job_has_a_name_a_schedule_a_test_and_a_line_in_the_readme() {
    let file: Value = serde_json::from_str(&read("qstash-schedules.json")).unwrap();
    let readme = read("README.md");
    let scheduled: Vec<&str> = file["schedules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|schedule| schedule["job"].as_str().unwrap())
        .collect();
    for job in jobs::ALL.iter() {
        let name = job.name;
        let is_kebab = name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(is_kebab, "{name}");
        assert!(job.log_type.starts_with("cron_"), "{name}");
        assert_eq!(
            scheduled.iter().filter(|job| **job == name).count(),
            1,
            "{name}"
        );
        assert!(
            readme.contains(&format!("| {name} |")),
            "{name} is not in the README's table"
        );
        read(&format!("tests/it/{}.rs", name.replace('-', "_")));
        assert_eq!(
            jobs::ALL.find(name).map(|found| found.log_type),
            Some(job.log_type)
        );
    }
    assert_eq!(
        scheduled.len(),
        jobs::ALL.iter().count(),
        "a schedule calls a job that does not exist"
    );
}
