//! Makes QStash's schedules those of the file, and checks the result.
//!
//! Promises that unchanged schedules are not written, that paused ones stay
//! paused, that only our schedules are deleted, that one failure does not stop
//! the others, and that the outcome is what QStash lists afterwards, not what
//! it answered. Applying twice, or at the same time, ends the same.
//!
//! A process that is killed between replacing a schedule and pausing it may
//! leave it running, if QStash resumes on an upsert (which is documented
//! nowhere): no call does both. A stop signal is checked between schedules
//! only.

use secrecy::SecretString;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::client::{Client, Failure, Listed};
use super::plan::{Action, Plan, Planned, Wanted};
use super::schedules::PREFIX;

/// What apply does besides creating and updating.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope {
    /// Delete our schedules that the file does not name.
    pub prune: bool,
    /// Write unchanged schedules too, secret and all.
    pub rewrite: bool,
}

/// The result for one schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its id.
    pub id: String,
    /// The planned action.
    pub action: Action,
    /// What happened.
    pub outcome: Outcome,
    /// Whether it is paused, as QStash lists it afterwards.
    pub is_paused: bool,
    /// Why not, when it was not done.
    pub why: Option<String>,
    #[serde(skip)]
    failure: Option<Failure>,
}

/// What happened to a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Written or deleted, and listed so by QStash.
    Done,
    /// There was nothing to do.
    Left,
    /// Not done, or not as it should be.
    Failed,
    /// Not tried: the process was stopped before.
    NotTried,
}

/// Compares the schedules at QStash with those wanted.
///
/// # Errors
/// What QStash, or the way to it, said instead.
pub async fn plan(
    client: &Client,
    wanted: &[Wanted],
    previous: Option<&SecretString>,
) -> Result<Plan, Failure> {
    Ok(Plan::of(wanted, &client.schedules().await?, previous))
}

/// Carries out the plan, and checks the result.
///
/// # Errors
/// When the schedules cannot be listed at first: then nothing was done.
pub async fn apply(
    client: &Client,
    wanted: &[Wanted],
    previous: Option<&SecretString>,
    scope: Scope,
    stop: &CancellationToken,
) -> Result<Vec<Applied>, Failure> {
    let before = plan(client, wanted, previous).await?;
    let mut applied = Vec::new();
    for planned in &before.schedules {
        let is_to_do = scope.covers(planned);
        let mut one = Applied::of(planned);
        if is_to_do && stop.is_cancelled() {
            one.outcome = Outcome::NotTried;
            one.why = Some("stopped before".to_owned());
        } else if is_to_do {
            let wanted = wanted.iter().find(|wanted| wanted.id == planned.id);
            match carry_out(client, planned, wanted).await {
                Ok(()) => one.outcome = Outcome::Done,
                Err(failure) => one.fail(failure),
            }
        }
        applied.push(one);
    }
    if applied.iter().any(|one| one.outcome != Outcome::Left) {
        match client.schedules().await {
            Ok(listed) => verify(&mut applied, wanted, &listed, previous),
            Err(failure) => unverified(&mut applied, &failure),
        }
    }
    Ok(applied)
}

impl Scope {
    fn covers(self, planned: &Planned) -> bool {
        match planned.action {
            Action::Create | Action::Update => true,
            Action::Unchanged => self.rewrite,
            Action::Orphan => self.prune,
            Action::Foreign => false,
        }
    }
}

impl Applied {
    /// QStash's error, when there was one.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    fn of(planned: &Planned) -> Self {
        Self {
            id: planned.id.clone(),
            action: planned.action,
            outcome: Outcome::Left,
            is_paused: planned.is_paused,
            why: None,
            failure: None,
        }
    }

    /// Whether it may be done although the answer was lost. For an unchanged
    /// schedule the list does not show whether it was written again.
    fn was_lost(&self) -> bool {
        let is_open = matches!(
            self.failure,
            Some(Failure::Unreachable(_) | Failure::Unclear(_))
        );
        is_open && self.action != Action::Unchanged
    }

    fn fail(&mut self, failure: Failure) {
        self.outcome = Outcome::Failed;
        self.why = Some(failure.to_string());
        self.failure = Some(failure);
    }
}

async fn carry_out(
    client: &Client,
    planned: &Planned,
    wanted: Option<&Wanted>,
) -> Result<(), Failure> {
    match wanted {
        Some(wanted) => put(client, wanted).await,
        // A second check, so that no plan can delete a foreign schedule.
        None if planned.id.starts_with(PREFIX) => client.delete_schedule(&planned.id).await,
        None => Ok(()),
    }
}

/// Replaces a schedule whole; one that was paused is paused again, also when
/// the answer to the replacing was lost.
async fn put(client: &Client, wanted: &Wanted) -> Result<(), Failure> {
    // It may have been paused since it was listed.
    let before = client.schedule(&wanted.id).await?;
    let was_paused = before.is_some_and(|before| before.is_paused);
    let headers = wanted.headers.clone();
    let put = client
        .put_schedule(&wanted.destination, headers, wanted.body.clone())
        .await;
    if was_paused {
        // Paused without checking first: pausing twice is harmless, and a lost
        // answer must not leave it running.
        let paused = client.set_paused(&wanted.id, true).await;
        return put.and(paused);
    }
    put
}

/// Compares the outcome with what QStash lists now.
fn verify(
    applied: &mut [Applied],
    wanted: &[Wanted],
    listed: &[Listed],
    previous: Option<&SecretString>,
) {
    let now = Plan::of(wanted, listed, previous);
    for one in applied {
        let found = now.schedules.iter().find(|planned| planned.id == one.id);
        let was_paused = one.is_paused;
        one.is_paused = found.is_some_and(|found| found.is_paused);
        if matches!(one.outcome, Outcome::Left | Outcome::NotTried) {
            continue;
        }
        let is_as_planned = match one.action {
            Action::Orphan => found.is_none(),
            _ => found.is_some_and(|found| found.action == Action::Unchanged),
        };
        let lost_pause = was_paused && !one.is_paused && one.action != Action::Orphan;
        let is_fine = is_as_planned && !lost_pause;
        if is_fine && one.was_lost() {
            one.outcome = Outcome::Done;
            (one.why, one.failure) = (None, None);
        } else if one.outcome == Outcome::Done && !is_as_planned {
            one.outcome = Outcome::Failed;
            one.why = Some(still(found));
        }
        if lost_pause {
            one.outcome = Outcome::Failed;
            let paused = "it was paused and is running now: pause it again";
            one.why = Some(match one.why.take() {
                Some(why) => format!("{why}; {paused}"),
                None => paused.to_owned(),
            });
        }
    }
}

/// Why a schedule is not as planned although QStash accepted the call.
fn still(found: Option<&Planned>) -> String {
    match found {
        None => "QStash accepted it and does not list it".to_owned(),
        Some(found) if found.differences.is_empty() => {
            "QStash accepted the deletion and still lists it".to_owned()
        }
        Some(found) => {
            let fields = found.differences.iter();
            let fields: Vec<&str> = fields.map(|difference| &*difference.field).collect();
            format!("QStash accepted it and lists another {}", fields.join(", "))
        }
    }
}

fn unverified(applied: &mut [Applied], failure: &Failure) {
    for one in applied {
        if one.outcome == Outcome::Done {
            one.fail(failure.clone());
            one.why = Some(format!("it was sent, but could not be checked: {failure}"));
        }
    }
}
