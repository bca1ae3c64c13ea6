//! The model: how likely is it that a member does not come for thirty days?
//!
//! A logistic regression on six signals, pure arithmetic. What it promises:
//! the points of the factors add up to the log-odds, and the score never
//! falls while a member stays away.
//!
//! - The usual gap and the absence counted in usual gaps, together: absence
//!   alone ranks sporadic visitors below chance, and the one who comes daily
//!   differs from the one who comes monthly. The gap is shrunk by one
//!   pseudo-observation, the gym's own mean. The weights of both come from
//!   the CDNOW transactions (Fader and Hardie, 23,570 customers; shipped with
//!   the Python package lifetimes), where BG/NBD, a fitted regression with
//!   eleven features and gradient boosting rank no better.
//! - The trend of the last four weeks against the eight before, shrunk: bare,
//!   it costs CDNOW 0.015 of AUC. The eight weeks are counted back from the
//!   last visit, so that they do not melt away while a member is absent.
//! - Tenure, contract end and mood have small weights by their direction in
//!   the literature: most who leave do so in their first months (Nemoto et
//!   al.; Sobreiro et al. 2021, IJERPH 18:10465), when a contract ends
//!   (Oliveira et al. 2021, RBCE), and when they feel unwell (`HealthPartners`
//!   2016, odds ratio 2.24). Unknown, they have no effect.
//!
//! Centres differ (Clavel San Emeterio et al. 2019, EJSS 19:217): `churn fit`
//! finds a gym's own weights ([`super::fit`]).

/// Which weights these are, when a gym has none of its own; raised with every
/// change of a weight or of the meaning of a signal.
pub const DEFAULT_VERSION: &str = "default-1";

/// The weights before a gym has shown its own.
pub const DEFAULT: Weights = Weights {
    intercept: -3.43,
    of_signals: [1.64, 0.47, -0.2, -0.15, 0.5, 0.8],
};

/// The signals, in the order of their weights; the names are the codes of
/// factors and the columns of `churn_models`.
pub const SIGNALS: [&str; 6] = [
    "usual_gap",
    "absence",
    "trend",
    "tenure",
    "contract_end",
    "negative_conversations",
];

/// The bounds of a gym's mean gap in days, and what it is while unknown.
const GAPS: (f64, f64) = (2.0, 60.0);
const GAP_UNKNOWN: f64 = 14.0;
/// The gap, in days, and the tenure, in months, of a member who gets no
/// points for them.
const TYPICAL_GAP: f64 = 4.0;
const TYPICAL_MONTHS: f64 = 12.0;
/// The absence, in usual gaps, from which each further gap counts for less.
const LONG_ABSENCE: f64 = 10.0;
/// A contract that ends within so many days counts.
const HORIZON: i32 = 30;
/// A member is new for so many days, unless they came twice.
const NEW_DAYS: i32 = 14;
/// Visits that the trend assumes on both sides.
const TREND_SHRINK: f64 = 2.0;
/// Conversations assumed before the first one, and how many were negative.
const CONVERSATIONS_SHRINK: (f64, f64) = (4.0, 0.8);

/// What is known of a member at one moment, in days of the gym's calendar;
/// those on which the member was frozen, or the gym's readers were silent, do
/// not count.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Days with a visit, in the last three years.
    pub visits: i32,
    /// Days since the first of them.
    pub first_ago: i32,
    /// Days since the last of them.
    pub last_ago: i32,
    /// Those of the last 28 days.
    pub recent: i32,
    /// Those of the eight weeks that ended 28 days before the last.
    pub before: i32,
    /// Conversations of the last 90 days whose sentiment is known.
    pub conversations: i32,
    /// The negative ones of them.
    pub negative: i32,
    /// Days since joining, where that is known; below 0, yet to come.
    pub joined_ago: Option<i32>,
    /// Days until the membership ends, where that is known.
    pub ends_in: Option<i32>,
}

/// What a member's signals weigh.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// The log-odds of a typical member who was here today.
    pub intercept: f64,
    /// Of each of [`SIGNALS`].
    pub of_signals: [f64; 6],
}

impl Facts {
    /// Whether a score says anything: of who never came it does not, nor of
    /// the new, who joined a few days ago and came once.
    #[must_use]
    pub fn have_a_score(&self) -> bool {
        self.visits > 0 && !self.are_new()
    }

    /// Whether they are too fresh to be judged.
    #[must_use]
    pub fn are_new(&self) -> bool {
        self.visits < 2 && self.member_for() < NEW_DAYS
    }

    /// The mean days between visits, shrunk towards the gym's.
    #[must_use]
    pub fn usual_gap(&self, gap_of_gym: f64) -> f64 {
        let span = f64::from((self.first_ago - self.last_ago).max(0));
        (span + gap_of_gym) / f64::from(self.visits.max(1))
    }

    /// Visits to be expected in four weeks, by the eight before; `None` when
    /// they were not at least two.
    #[must_use]
    pub fn expected(&self) -> Option<f64> {
        let known = (self.first_ago - self.last_ago - 28).min(56);
        (known >= 14).then(|| f64::from(self.before) * 28.0 / f64::from(known))
    }

    /// Days since joining, or since the first visit when that was before.
    #[must_use]
    pub fn member_for(&self) -> i32 {
        let joined_ago = self.joined_ago.unwrap_or(i32::MAX);
        if self.visits == 0 {
            joined_ago
        } else {
            joined_ago.max(self.first_ago)
        }
    }

    /// Months from joining to the last visit: like all signals but the
    /// absence and the recent visits, they do not change while it grows.
    #[must_use]
    pub fn months(&self) -> f64 {
        let since = self.joined_ago.unwrap_or(0).max(self.first_ago);
        f64::from((since - self.last_ago).max(0)) / 30.44
    }

    /// The value of each of [`SIGNALS`]; 0 is typical or unknown.
    #[must_use]
    pub fn signals(&self, gap_of_gym: f64) -> [f64; 6] {
        let gap = self.usual_gap(gap_of_gym);
        let ends = self
            .ends_in
            .is_some_and(|days| (0..=HORIZON).contains(&days));
        let recent = f64::from(self.recent);
        [
            (gap / TYPICAL_GAP).ln(),
            flattened(f64::from(self.last_ago.max(0)) / gap),
            self.expected().map_or(0.0, |expected| {
                ((recent + TREND_SHRINK) / (expected + TREND_SHRINK)).ln()
            }),
            ((1.0 + self.months()) / (1.0 + TYPICAL_MONTHS)).ln(),
            f64::from(u8::from(ends)),
            self.negative_share(),
        ]
    }

    /// The shrunk share of negative conversations, above what is usual.
    fn negative_share(&self) -> f64 {
        let (conversations, negative) = CONVERSATIONS_SHRINK;
        (f64::from(self.negative) + negative) / (f64::from(self.conversations) + conversations)
            - negative / conversations
    }
}

impl Weights {
    /// What each signal adds to the log-odds. Rounded, so that the factors,
    /// as they are written, add up to the score.
    #[must_use]
    pub fn points(&self, signals: &[f64; 6]) -> [f64; 6] {
        let mut points = [0.0; 6];
        for ((points, weight), signal) in points.iter_mut().zip(self.of_signals).zip(signals) {
            *points = rounded(weight * signal);
        }
        points
    }

    /// The log-odds.
    #[must_use]
    pub fn log_odds(&self, signals: &[f64; 6]) -> f64 {
        self.intercept + self.points(signals).iter().sum::<f64>()
    }
}

/// A probability from log-odds.
#[must_use]
pub fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// A gym's mean gap in days, from what some of its members did.
#[must_use]
pub fn gap_of_gym<'a>(members: impl Iterator<Item = &'a Facts>) -> f64 {
    let (days, gaps) = members.fold((0, 0), |(days, gaps), member| {
        let gap = (member.first_ago - member.last_ago).max(0);
        (
            days + i64::from(gap),
            gaps + i64::from(member.visits.max(1) - 1),
        )
    });
    if gaps == 0 {
        return GAP_UNKNOWN;
    }
    #[expect(clippy::cast_precision_loss, reason = "days of some members")]
    let mean = days as f64 / gaps as f64;
    mean.clamp(GAPS.0, GAPS.1)
}

/// Four decimals: what is written of points.
#[must_use]
pub fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

/// Gaps missed, of which those past [`LONG_ABSENCE`] count for less and less;
/// it never stops to rise.
fn flattened(gaps: f64) -> f64 {
    if gaps <= LONG_ABSENCE {
        gaps
    } else {
        LONG_ABSENCE * (1.0 + (gaps / LONG_ABSENCE).ln())
    }
}
