//! What all runs did together: the figures of `GET /api/jobs/metrics`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::engine::{Job, Registry, Run};
use crate::views::overview::Figures;
use crate::views::standing::Standing;
use crate::views::totals::Totals;

/// What all runs did together.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Metrics {
    /// The moment at which it was so.
    at: DateTime<Utc>,
    payments_expired_total: i64,
    payment_intents_canceled_total: i64,
    stock_released_total: i64,
    rows_erased_total: i64,
    alerts_opened_total: i64,
    alerts_resolved_total: i64,
    alerts_escalated_total: i64,
    /// Open and acknowledged alerts, by kind.
    alerts_open: BTreeMap<String, i64>,
    /// The figures of each job, by its name.
    jobs: BTreeMap<&'static str, JobFigures>,
}

/// The figures of one job; times in milliseconds.
#[derive(Debug, Serialize, ToSchema)]
struct JobFigures {
    /// What all its runs did together, by the name of the count.
    totals: BTreeMap<String, i64>,
    /// The other numbers of its latest success.
    #[schema(value_type = Option<BTreeMap<String, f64>>)]
    gauges: Option<Map<String, Value>>,
    /// Its runs, by how they ended.
    runs: BTreeMap<String, i64>,
    /// The time of all runs that worked to some end.
    job_execution_time_total: i64,
    /// The time of the latest of them.
    job_execution_time: Option<i64>,
    /// When that one began.
    last_execution_time: Option<DateTime<Utc>>,
}

impl Metrics {
    pub(super) fn of(jobs: Registry, figures: Figures) -> Self {
        let (mut totals, mut standings) = (figures.totals, figures.standings);
        let mut alerts_open: BTreeMap<String, i64> = BTreeMap::new();
        for open in figures.alerts_open {
            *alerts_open.entry(open.kind).or_default() += open.alerts;
        }
        let over_all_jobs = |kind: &str| -> i64 {
            let of_job = totals.values().filter_map(|totals| totals.counts.get(kind));
            of_job.fold(0, |sum, count| sum.saturating_add(*count))
        };
        Self {
            at: figures.at,
            payments_expired_total: over_all_jobs("orders_expired"),
            payment_intents_canceled_total: over_all_jobs("payment_intents_canceled"),
            stock_released_total: over_all_jobs("stock_released"),
            rows_erased_total: over_all_jobs("rows_erased"),
            alerts_opened_total: over_all_jobs("alerts_opened"),
            alerts_resolved_total: over_all_jobs("alerts_resolved"),
            alerts_escalated_total: over_all_jobs("alerts_escalated"),
            alerts_open,
            jobs: jobs
                .iter()
                .map(|job| {
                    let totals = totals.remove(job.name).unwrap_or_default();
                    let standing = standings.remove(job.name).unwrap_or_default();
                    (job.name, JobFigures::of(job, totals, standing))
                })
                .collect(),
        }
    }
}

impl JobFigures {
    fn of(job: &Job, totals: Totals, standing: Standing) -> Self {
        let mut counts = totals.counts;
        for kind in job.totals {
            counts.entry((*kind).to_owned()).or_default();
        }
        let last = standing.last_executed;
        Self {
            totals: counts,
            gauges: standing.last_success.map(|run| gauges(job, run)),
            runs: totals.runs,
            job_execution_time_total: totals.duration_ms,
            job_execution_time: last.as_ref().and_then(|run| run.duration_ms),
            last_execution_time: last.map(|run| run.started_at),
        }
    }
}

/// The numbers of a run that do not add up over runs.
fn gauges(job: &Job, run: Run) -> Map<String, Value> {
    let Value::Object(results) = run.results else {
        return Map::new();
    };
    let is_gauge =
        |(name, value): &(String, Value)| value.is_number() && !job.totals.contains(&name.as_str());
    results.into_iter().filter(is_gauge).collect()
}
