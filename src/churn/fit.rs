//! Fits a gym's own weights, and keeps them only when they are better.
//!
//! Learns from the gym's members as they were at several moments of the past,
//! each with what came of it in the thirty days after. The newest moment is
//! held out: the weights learn from windows that were over when it came, and
//! are stored only when they beat the default there by AUC and by Brier score.
//! Takes no lease, because it writes one new row.

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::model::{DEFAULT, SIGNALS, Weights, probability};
use super::weights;
use crate::database::{self, Pool, TxLimits, Unprepared};

pub(super) mod history;
mod regression;

use history::Row;

/// The days of one window, which are also those between two moments.
const WINDOW_DAYS: i64 = 30;
/// The moments that are learned from, before the one that is held out.
const LESSONS: i32 = 6;
/// Rows to learn from and to test on, and how many of them must have come,
/// and must not have come: with fewer, luck would decide.
const ENOUGH_TO_LEARN: (usize, usize) = (200, 20);
const ENOUGH_TO_TEST: (usize, usize) = (100, 10);

/// A gym to fit.
#[derive(Debug, Clone, Serialize)]
pub struct Gym {
    /// Its id.
    #[serde(rename = "gym_id")]
    pub id: Uuid,
    /// Its slug.
    pub slug: String,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Fitted {
    /// The gym.
    #[serde(flatten)]
    pub gym: Gym,
    /// Whether the weights are in use from now on.
    pub kept: bool,
    /// Why, or why not, in a sentence.
    pub why: String,
    /// What the gym's members are scored by now, when it was changed.
    pub model_version: Option<String>,
    /// Rows that were learned from.
    pub trained_on: usize,
    /// Rows of the later month.
    pub tested_on: usize,
    /// How both did there; none when there was too little.
    pub test: Option<Test>,
    /// The fitted weights, by the codes of the factors.
    pub weights: Map<String, Value>,
}

/// How the fitted weights and the default did on the month held out.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Test {
    /// Share of those who did not come.
    pub base_rate: f64,
    /// The fitted weights.
    pub fitted: Score,
    /// The default.
    pub default: Score,
}

/// How some weights did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// Chance that one who did not come was scored above one who came.
    pub auc: f64,
    /// Mean squared error.
    pub brier: f64,
    /// The mean score.
    #[serde(rename = "mean_score")]
    pub mean: f64,
}

/// The gym of that slug or id; without one, every active gym.
///
/// # Errors
/// When the database refuses.
pub async fn gyms(db: &Pool, which: Option<&str>) -> anyhow::Result<Vec<Gym>> {
    let mut tx = database::begin(db, TxLimits::READ).await.context("read")?;
    sqlx::query_as!(
        Gym,
        "select id, slug
           from gyms
          where slug = $1
             or id::text = lower($1)
             or ($1 is null and status = 'active')
          order by slug",
        which,
    )
    .fetch_all(Unprepared(&mut tx))
    .await
    .context("read the gyms")
}

/// Fits the gym's weights by what is known at `at`; with `dry_run` nothing is
/// stored.
///
/// # Errors
/// When the database refuses.
pub async fn fit(db: &Pool, gym: Gym, at: DateTime<Utc>, dry_run: bool) -> anyhow::Result<Fitted> {
    let moment = |back: i32| at - TimeDelta::days(WINDOW_DAYS) * back;
    let held_out = history::rows(db, gym.id, moment(1)).await?;
    let mut lessons = Vec::new();
    for back in 2..2 + LESSONS {
        lessons.extend(history::rows(db, gym.id, moment(back)).await?);
    }
    let mut fitted = Fitted {
        gym,
        kept: false,
        why: String::new(),
        model_version: None,
        trained_on: lessons.len(),
        tested_on: held_out.len(),
        test: None,
        weights: Map::new(),
    };
    match fitted.learn(&lessons, &held_out) {
        Err(why) => fitted.why = why,
        Ok(_) if dry_run => "would be kept: better than the default".clone_into(&mut fitted.why),
        Ok((weights, test)) => {
            let version = store(db, &fitted, &weights, &test, at).await?;
            fitted.why = format!("kept as {version}: better than the default");
            fitted.kept = true;
            fitted.model_version = Some(version);
        }
    }
    Ok(fitted)
}

impl Fitted {
    /// Weights that are worth keeping, or why there are none.
    fn learn(&mut self, lessons: &[Row], held_out: &[Row]) -> Result<(Weights, Test), String> {
        if let Some(lack) = lack(lessons, held_out) {
            return Err(lack);
        }
        let weights = regression::fit(lessons, &DEFAULT)
            .ok_or_else(|| "not kept: the regression found no solution".to_owned())?;
        let test = Test {
            base_rate: share_of_absent(held_out),
            fitted: score(&weights, held_out),
            default: score(&DEFAULT, held_out),
        };
        self.weights = named(&weights);
        self.test = Some(test);
        test.is_passed().map(|()| (weights, test))
    }
}

impl Test {
    fn is_passed(&self) -> Result<(), String> {
        let Self {
            fitted, default, ..
        } = self;
        let why = if fitted.auc <= 0.5 {
            "it ranks no better than chance"
        } else if fitted.auc <= default.auc {
            "no better than the default by AUC"
        } else if fitted.brier >= default.brier {
            "no better than the default by Brier score"
        } else {
            return Ok(());
        };
        Err(format!("not kept: {why}"))
    }
}

/// What is missing to fit and test, in a sentence.
fn lack(lessons: &[Row], test: &[Row]) -> Option<String> {
    let parts = [
        ("learn from", lessons, ENOUGH_TO_LEARN),
        ("test on", test, ENOUGH_TO_TEST),
    ];
    parts.into_iter().find_map(|(what, rows, (all, each))| {
        let rows_in_all = rows.len();
        let absent = rows.iter().filter(|row| row.absent).count();
        let is_enough = rows_in_all >= all && absent >= each && rows_in_all - absent >= each;
        (!is_enough).then(|| {
            format!(
                "too little history: {rows_in_all} rows to {what}, of which {absent} did not \
                 come; it takes {all}, with {each} who came and {each} who did not"
            )
        })
    })
}

/// How `weights` do on `rows`, of which some came and some did not.
#[must_use]
fn score(weights: &Weights, rows: &[Row]) -> Score {
    let mut scored: Vec<(f64, bool)> = rows
        .iter()
        .map(|row| (probability(weights.log_odds(&row.signals)), row.absent))
        .collect();
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut pairs, mut came) = (0.0, 0.0);
    for tie in scored.chunk_by(|a, b| a.0 >= b.0) {
        let absent = count(tie.iter().filter(|(_, absent)| *absent).count());
        let present = count(tie.len()) - absent;
        pairs += absent * (came + present / 2.0);
        came += present;
    }
    let all = count(scored.len());
    let error = |(score, absent): &(f64, bool)| (score - f64::from(u8::from(*absent))).powi(2);
    Score {
        auc: pairs / (came * (all - came)),
        brier: scored.iter().map(error).sum::<f64>() / all,
        mean: scored.iter().map(|(score, _)| score).sum::<f64>() / all,
    }
}

fn share_of_absent(rows: &[Row]) -> f64 {
    count(rows.iter().filter(|row| row.absent).count()) / count(rows.len())
}

#[expect(clippy::cast_precision_loss, reason = "rows of one gym")]
fn count(rows: usize) -> f64 {
    rows as f64
}

fn named(weights: &Weights) -> Map<String, Value> {
    let of_signals = SIGNALS.into_iter().zip(weights.of_signals);
    std::iter::once(("intercept", weights.intercept))
        .chain(of_signals)
        .map(|(name, weight)| (name.to_owned(), weight.into()))
        .collect()
}

async fn store(
    db: &Pool,
    fitted: &Fitted,
    weights: &Weights,
    test: &Test,
    at: DateTime<Utc>,
) -> anyhow::Result<String> {
    let mut tx = database::begin(db, TxLimits::CONTROL)
        .await
        .context("begin to store")?;
    let version = weights::store(Unprepared(&mut tx), fitted, weights, test, at)
        .await
        .context("store the weights")?;
    tx.commit().await.context("store the weights")?;
    Ok(weights::name(version))
}
