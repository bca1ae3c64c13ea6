//! The real binary, as it is typed.

use std::collections::BTreeMap;
use std::process::Stdio;

use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::app::{App, CRON_SECRET, CURRENT_KEY, JOB, NEXT_KEY, OPERATOR_SECRET, PUBLIC_URL};

mod doctor;
mod flood;
mod policies;
mod printed;
mod serving;
mod token;
mod trigger;
mod working;

pub(crate) type Settings = BTreeMap<String, String>;

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The binary with these settings and no others.
pub(crate) fn command(settings: &Settings, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jarvis-cron"));
    command
        .args(arguments)
        .env_clear()
        .envs(settings)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

pub(crate) async fn run(settings: &Settings, arguments: &[&str]) -> Done {
    run_with(settings, arguments, "").await
}

/// With this on standard input.
async fn run_with(settings: &Settings, arguments: &[&str], input: &str) -> Done {
    let mut child = command(settings, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let done = child.wait_with_output().await.unwrap();
    Done {
        code: done.status.code(),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

/// What a command that needs the database only is given.
pub(crate) fn reaching(database: &str) -> Settings {
    let schema = crate::database::schema();
    let settings = [
        ("DATABASE_URL", database),
        ("DATABASE_SCHEMA", schema.name()),
    ];
    with(&Settings::new(), &settings)
}

fn with(settings: &Settings, changes: &[(&str, &str)]) -> Settings {
    let mut settings = settings.clone();
    let changes = changes.iter();
    settings.extend(changes.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    settings
}

#[rstest]
#[case::all(&["--help"], &[
    "serve", "migrate", "run", "trigger", "sign", "verify", "doctor", "policies", "churn",
    "schedules", "demo",
])]
#[case::serve(&["serve", "--help"], &["--dev", "SIGTERM"])]
#[case::migrate(&["migrate", "--help"], &["DATABASE_DIRECT_URL"])]
#[case::run(&["run", "--help"], &[
    JOB, "--dry-run", "--as-of", "--batch-size", "--limit", "--shard", "--fan-out", "--actor", "--reason",
])]
#[case::churn_fit(&["churn", "fit", "--help"], &["--gym", "--dry-run", "--as-of", "--json"])]
#[case::trigger(&["trigger", "--help"], &[
    JOB, "--url", "--public-url", "--message-id", "--retries", "--retry-delay", "--dry-run",
    "--fan-out", "CRON_SECRET", "30m 8s",
])]
#[case::sign(&["sign", "--help"], &["--url", "--body-file", "QSTASH_CURRENT_SIGNING_KEY"])]
#[case::verify(&["verify", "--help"], &["--url", "--signature", "--body-file", "--region"])]
#[case::doctor(&["doctor", "--help"], &["--json", "--strict", "PUBLIC_URL"])]
#[case::policies(&["policies", "--help"], &["list", "set", "DATABASE_URL"])]
#[case::policies_list(&["policies", "list", "--help"], &["--json"])]
#[case::policies_set(&["policies", "set", "--help"], &[
    "<TARGET>", "--keep-days", "--legal-basis", "--enable", "--disable", "--actor", "--reason",
])]
#[case::schedules(&["schedules", "--help"], &[
    "plan", "apply", "list", "pause", "resume", "QSTASH_TOKEN", "PUBLIC_URL",
])]
#[case::schedules_plan(&["schedules", "plan", "--help"], &[
    "--file", "--check", "--quota", "--json", "read-only",
])]
#[case::schedules_apply(&["schedules", "apply", "--help"], &[
    "--file", "--prune", "--rewrite", "--json",
])]
#[case::schedules_list(&["schedules", "list", "--help"], &["--json"])]
#[case::schedules_pause(&["schedules", "pause", "--help"], &["<JOB OR ID>", "--file", "--json"])]
#[case::schedules_resume(&["schedules", "resume", "--help"], &["<JOB OR ID>", "--file", "--json"])]
#[case::demo(&["demo", "--help"], &["--once", "--port", "--scale"])]
#[tokio::test]
async fn help_names_every_option_and_no_setting_s_value(
    #[case] arguments: &[&str],
    #[case] named: &[&str],
) {
    let secret = Settings::from([("CRON_SECRET".to_owned(), CRON_SECRET.to_owned())]);
    let done = run(&secret, arguments).await;
    assert_eq!((done.code, &*done.err), (Some(0), ""));
    for name in named {
        assert!(done.out.contains(name), "{name} is not in\n{}", done.out);
    }
    assert!(!done.out.contains(CRON_SECRET));
}

#[rstest]
#[case::nothing(&[])]
#[case::unknown_command(&["mow"])]
#[case::unknown_job(&["run", "mow-the-lawn"])]
#[case::unknown_job_to_trigger(&["trigger", "mow-the-lawn"])]
#[case::unknown_flag(&["serve", "--quick"])]
#[case::useless_option(&["run", JOB, "--force"])]
#[case::batch_of_none(&["run", JOB, "--batch-size", "0"])]
#[case::shard_out_of_range(&["run", JOB, "--shard", "4/4"])]
#[case::fan_out_with_nobody_to_receive(&["run", JOB, "--fan-out", "4"])]
#[case::fan_out_of_one(&["trigger", JOB, "--fan-out", "1"])]
#[case::no_moment(&["run", JOB, "--as-of", "yesterday"])]
#[case::too_many_retries(&["trigger", JOB, "--retries", "101"])]
#[case::no_delay(&["trigger", JOB, "--retry-delay", "soon"])]
#[case::signature_for_nothing(&["sign"])]
#[case::schedules_without_a_verb(&["schedules"])]
#[case::schedules_without_settings(&["schedules", "plan"])]
#[case::a_pause_of_nothing(&["schedules", "pause"])]
#[case::a_quota_of_some(&["schedules", "plan", "--quota", "some"])]
#[case::a_policy_of_nothing(&["policies", "set"])]
#[case::a_policy_without_a_change(&["policies", "set", "visits", "--reason", "why not"])]
#[case::a_policy_on_and_off(&["policies", "set", "visits", "--enable", "--disable"])]
#[case::a_policy_of_some_days(&["policies", "set", "visits", "--keep-days", "some"])]
#[tokio::test]
async fn what_cannot_be_meant_exits_2(#[case] arguments: &[&str]) {
    let done = run(&Settings::new(), arguments).await;
    assert_eq!((done.code, &*done.out), (Some(2), ""), "{done:?}");
    assert!(!done.err.is_empty());
}
