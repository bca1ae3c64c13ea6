//! Writes each gym's weekly report, and mails it to who wants it.
//!
//! - What: one report per active gym and ISO week, also for an empty week:
//!   the last week that is over on the gym's own clocks.
//! - Which rows: gyms by keyset over their id, in batches; each kind of
//!   number is one statement over the whole batch.
//! - Twice is harmless: a report that is there stays as it was read and
//!   mailed; with `force` it is made again from what has come in since, and
//!   replaced only when its content hash changed, with the old hash kept in
//!   `audit_events`. A mail is noted before it is sent, and carries a key by
//!   which Resend tells a repetition.
//! - When: Mondays at six in the morning.
//!
//! A report holds ids, codes and numbers. Names and words are added when
//! somebody reads it. A mail that fails never fails the report.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::{Cx, Finish, Job, Stop, Worked, report as told};
use crate::database::Fault;

pub mod counted;
mod deliver;
mod due;
pub mod headline;
pub mod insights;
mod letter;
pub mod links;
pub mod metrics;
pub mod numbers;
pub mod page;
mod report;
mod save;
pub mod stored;
pub mod table;
pub mod week;
pub mod words;

use due::{Cursor, Due, Gyms};
use report::Report;

/// The job, as [`super::ALL`] lists it.
pub const JOB: Job = Job {
    name: "weekly-reports",
    log_type: "cron_weekly_reports",
    accepts: &[
        "dry_run",
        "as_of",
        "batch_size",
        "limit",
        "gym_id",
        "force",
        "continuation_of",
    ],
    totals: &["generated", "emails_sent"],
    run: |cx| told(run(cx)),
};

/// Gyms per transaction.
const BATCH: u32 = 200;
/// How often a batch is tried while somebody else holds one of its rows.
const TRIES: u32 = 3;
/// Sample ids in a dry run, and failures per run.
const SAMPLES: usize = 50;

/// What a run did, or in a dry run would do.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Results {
    /// Gyms that were looked at.
    pub total: u64,
    /// Reports that are new, or were replaced.
    pub generated: u64,
    /// Reports that were there and stay as they are.
    pub unchanged: u64,
    /// Of the generated ones, those of a week without visits or conversations.
    pub empty: u64,
    /// Gyms that were not active, or not there yet when the week ended.
    pub skipped: u64,
    /// Gyms whose report could not be made.
    pub errors: u64,
    /// Mails that Resend accepted.
    pub emails_sent: u64,
    /// Mails that it did not; the next run tries again.
    pub emails_failed: u64,
    /// What could not be done, and why; the first fifty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failed>,
    /// In a dry run, the first fifty gyms that would get a report.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub samples: BTreeMap<&'static str, Vec<Uuid>>,
}

/// Something that needs somebody to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The gym, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gym_id: Option<Uuid>,
    /// The report that was not mailed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_id: Option<Uuid>,
    /// What went wrong.
    pub error: String,
}

/// Runs the job.
pub async fn run(cx: &Cx) -> Worked<Results> {
    let mut results = Results::default();
    let end = work(cx, &mut results).await;
    Worked { results, end }
}

/// All reports first, then the mail, which takes longer and may fail.
async fn work(cx: &Cx, results: &mut Results) -> Result<Finish, Stop> {
    let mut cursor = Cursor::begin(cx);
    while !cx.budget.is_spent() {
        let Some(gyms) = cursor.batch(cx).await? else {
            break;
        };
        let due = results.sort(gyms);
        if settle(cx, &due, &mut cursor, results).await? == Finish::WorkLeft {
            break;
        }
        cursor.leave(cx);
    }
    match cursor.finish() {
        Finish::Done => deliver::deliver(cx, results).await,
        Finish::WorkLeft => Ok(Finish::WorkLeft),
    }
}

impl Results {
    /// Counts what needs no report; answers the gyms that do.
    fn sort(&mut self, gyms: Gyms) -> Vec<Due> {
        self.total += gyms.total;
        self.skipped += gyms.skipped;
        self.unchanged += gyms.reported;
        for (gym_id, zone) in gyms.without_zone {
            self.errors += 1;
            self.note(Failed {
                gym_id: Some(gym_id),
                report_id: None,
                error: format!("the time zone {zone:?} is not in the IANA database"),
            });
        }
        gyms.due
    }

    fn note(&mut self, failed: Failed) {
        if self.failures.len() < SAMPLES {
            self.failures.push(failed);
        }
    }
}

/// Commits the reports of a batch. When the database refuses because of one
/// row, each gym is done on its own, so that one spoils no other.
async fn settle(
    cx: &Cx,
    due: &[Due],
    cursor: &mut Cursor,
    results: &mut Results,
) -> Result<Finish, Stop> {
    if due.is_empty() {
        return Ok(Finish::Done);
    }
    match commit_patiently(cx, due, results).await {
        Err(stop) if is_about_rows(&stop) => {}
        done => return done.map(|()| Finish::Done),
    }
    for gym in due {
        if cx.budget.is_spent() {
            cursor.interrupted();
            return Ok(Finish::WorkLeft);
        }
        match commit(cx, std::slice::from_ref(gym), results).await {
            Err(stop) if is_about_rows(&stop) => {
                results.errors += 1;
                results.note(Failed {
                    gym_id: Some(gym.gym_id),
                    report_id: None,
                    error: stop.to_string(),
                });
            }
            done => done?,
        }
    }
    Ok(Finish::Done)
}

/// Tries again while somebody else holds a row.
async fn commit_patiently(cx: &Cx, due: &[Due], results: &mut Results) -> Result<(), Stop> {
    let mut tries = 1;
    loop {
        match commit(cx, due, results).await {
            Err(stop)
                if stop.fault() == Fault::Contended && tries < TRIES && !cx.budget.is_spent() =>
            {
                tries += 1;
            }
            done => return done,
        }
    }
}

/// One transaction for all of `due`; `results` count it once it is kept.
async fn commit(cx: &Cx, due: &[Due], results: &mut Results) -> Result<(), Stop> {
    let reports = make(cx, due).await?;
    let mut batch = cx.fence.batch().await?;
    match save::save(cx, &mut batch, &reports).await {
        Ok(generated) => {
            let mut sum = results.clone();
            sum.add(&reports, &generated, cx.options.dry_run);
            batch.commit(&sum).await?;
            *results = sum;
            Ok(())
        }
        Err(stop) => {
            batch.undo().await?;
            Err(stop)
        }
    }
}

/// The reports of these gyms, with no lock held.
async fn make(cx: &Cx, due: &[Due]) -> Result<Vec<Report>, Stop> {
    let mut counts = counted::count(cx, due).await?;
    due.iter()
        .map(|gym| Report::of(gym, counts.remove(&gym.gym_id).unwrap_or_default()))
        .collect::<Result<_, _>>()
        .map_err(|error| Stop::Failed(anyhow::Error::new(error).context("write a report")))
}

impl Results {
    fn add(&mut self, reports: &[Report], generated: &[Uuid], dry_run: bool) {
        let is_generated = |report: &&Report| generated.contains(&report.gym_id);
        let empty = reports
            .iter()
            .filter(is_generated)
            .filter(|report| report.is_empty);
        self.empty += empty.count() as u64;
        self.generated += generated.len() as u64;
        self.unchanged += (reports.len() - generated.len()) as u64;
        if dry_run {
            let samples = self.samples.entry("generated").or_default();
            let room = SAMPLES.saturating_sub(samples.len());
            samples.extend(generated.iter().take(room));
        }
    }
}

/// Whether doing the gyms one by one may tell the good from the bad.
fn is_about_rows(stop: &Stop) -> bool {
    matches!(stop.fault(), Fault::Data | Fault::Contended)
}
