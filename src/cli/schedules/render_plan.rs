//! A plan, as text and as JSON.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{SyncTarget, render_clock_changes};
use crate::qstash::plan::{Action, Plan, Planned};
use crate::qstash::schedules::Deliveries;

/// Schedules of an account on QStash's free plan, as others report it.
const FREE_SCHEDULES: usize = 10;
/// Messages a day on that plan.
const FREE_MESSAGES: u32 = 1_000;
/// Where the details of a schedule begin.
const INDENT: &str = "             ";

/// A plan and its target.
pub(super) struct Report<'a> {
    pub(super) target: &'a SyncTarget,
    pub(super) plan: &'a Plan,
    pub(super) quota: u32,
    pub(super) now: DateTime<Utc>,
}

impl Report<'_> {
    pub(super) fn json(&self) -> Value {
        let deliveries = self.target.schedules.deliveries(self.now);
        json!({
            "api": self.target.api,
            "base_url": self.target.public_url,
            "timezone": self.target.schedules.timezone.name(),
            "differs": self.plan.differs(),
            "schedules": self.plan.schedules,
            "deliveries": deliveries,
            "quota": self.quota,
            "nights": render_clock_changes::json(&self.target.schedules, self.now),
        })
    }

    pub(super) fn text(&self) -> String {
        let (api, public_url) = (&self.target.api, &self.target.public_url);
        let schedules: String = self.plan.schedules.iter().map(schedule).collect();
        let elsewhere = if self.target.is_elsewhere {
            "The file's base_url is not PUBLIC_URL: deliveries are signed for the former, and a\nservice with this PUBLIC_URL refuses them.\n\n"
        } else {
            ""
        };
        format!(
            "Schedules at {api} that call {public_url}\n\n{schedules}\n{}\n\n{elsewhere}{}{}{}",
            counts(self.plan),
            self.quota(),
            self.account(),
            render_clock_changes::render(&self.target.schedules, self.now)
        )
    }

    /// The number of deliveries, compared with the quota.
    fn quota(&self) -> String {
        let Deliveries {
            busiest_day,
            on_busiest_day,
            when_all_fail,
            on_quietest_day,
        } = self.target.schedules.deliveries(self.now);
        let quota = self.quota;
        let source = if quota == FREE_MESSAGES {
            "the free plan's quota as others report it; set yours with --quota"
        } else {
            "your quota"
        };
        let verdict = if on_busiest_day > quota {
            "TOO LITTLE: not even a day without failures fits"
        } else if when_all_fail > quota {
            "enough, but not for a day on which everything fails"
        } else {
            "enough, also for a day on which everything fails"
        };
        format!(
            "Deliveries: {on_quietest_day} to {on_busiest_day} a day, most on {busiest_day}; {when_all_fail} messages if each of that day fails,\n\
             with its retries and failure callbacks. Continuations and fan-out come on top.\n\
             {quota} messages a day ({source}): {verdict}.\n"
        )
    }

    /// How many schedules the account will hold.
    fn account(&self) -> String {
        let all = self.plan.schedules.len();
        let too_many = if all > FREE_SCHEDULES {
            format!("; the free plan allows {FREE_SCHEDULES}, as others report")
        } else {
            String::new()
        };
        format!("{all} schedules in the account after an apply{too_many}.\n")
    }
}

fn schedule(planned: &Planned) -> String {
    let sign = match planned.action {
        Action::Create => '+',
        Action::Update => '~',
        Action::Unchanged => '=',
        Action::Orphan => '-',
        Action::Foreign => ' ',
    };
    let (id, action) = (&planned.id, planned.action.name());
    let first = format!("{sign} {action:<10} {id}{}\n", remarks(planned));
    let differences = planned.differences.iter().map(|difference| {
        let field = &difference.field;
        let will_be = difference.will_be.as_deref().unwrap_or("nothing");
        let was = difference.was.as_deref().unwrap_or("nothing");
        match planned.action {
            Action::Create => format!("{INDENT}{field}: {will_be}\n"),
            _ => format!("{INDENT}{field}: {was} -> {will_be}\n"),
        }
    });
    let unclear = planned.unclear.iter().map(|unclear| {
        let (field, why) = (&unclear.field, &unclear.why);
        format!("{INDENT}{field}: cannot be compared: {why}\n")
    });
    std::iter::once(first)
        .chain(differences)
        .chain(unclear)
        .collect()
}

fn remarks(planned: &Planned) -> String {
    let mut remarks = Vec::new();
    if planned.is_paused {
        remarks.push("paused, and stays so".to_owned());
    }
    match planned.action {
        Action::Orphan => {
            remarks.push("not in the file, or not in JOBS; apply --prune deletes it".to_owned());
        }
        Action::Foreign => remarks.push("not ours, never touched".to_owned()),
        Action::Create | Action::Update | Action::Unchanged => {}
    }
    let is_unplanned = matches!(planned.action, Action::Orphan | Action::Foreign);
    if let Some(job) = planned.job.as_ref().filter(|_| is_unplanned) {
        remarks.push(format!("CALLS {job} HERE TOO"));
    }
    if remarks.is_empty() {
        return String::new();
    }
    format!(" ({})", remarks.join("; "))
}

fn counts(plan: &Plan) -> String {
    let paused = plan.schedules.iter().filter(|planned| planned.is_paused);
    format!(
        "{} to create, {} to update, {} unchanged, {} orphaned, {} foreign; {} paused",
        plan.count(Action::Create),
        plan.count(Action::Update),
        plan.count(Action::Unchanged),
        plan.count(Action::Orphan),
        plan.count(Action::Foreign),
        paused.count(),
    )
}
