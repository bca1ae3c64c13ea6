//! What the model promises, whatever it is given.

use jarvis_cron::churn::model::{DEFAULT, Facts, SIGNALS, Weights, probability};
use jarvis_cron::churn::verdict::{Level, Verdict};
use proptest::prelude::*;
use rstest::rstest;

prop_compose! {
    /// A member as the tables may have them, on the day of the last visit.
    fn facts()(
        span in 0..1_090_i32,
        fill in 0..8_i32,
        recent in 0..28_i32,
        before in 0..56_i32,
        conversations in 0..40_i32,
        sour in 0..=4_i32,
        joined in proptest::option::of(0..9_000_i32),
        ends_in in proptest::option::of(-4_000..4_000_i32),
    ) -> Facts {
        let visits = 1 + span * fill / 8;
        Facts {
            visits,
            first_ago: span,
            last_ago: 0,
            recent: (1 + recent).min(visits),
            before: before.min(visits),
            conversations,
            negative: conversations * sour / 4,
            joined_ago: joined.map(|days| days + span),
            ends_in,
        }
    }
}

prop_compose! {
    /// Weights as `churn fit` may find them.
    fn weights()(
        intercept in -9.0..4.0_f64,
        gap in -3.0..4.0_f64,
        absence in 0.0..3.0_f64,
        trend in -3.0..=0.0_f64,
        others in proptest::array::uniform3(-3.0..3.0_f64),
    ) -> Weights {
        let [tenure, contract, sour] = others;
        Weights { intercept, of_signals: [gap, absence, trend, tenure, contract, sour] }
    }
}

/// The same member, absent for so many days more.
fn later(facts: Facts, days: i32) -> Facts {
    Facts {
        first_ago: facts.first_ago + days,
        last_ago: facts.last_ago + days,
        recent: (facts.recent - days).max(0),
        joined_ago: facts.joined_ago.map(|ago| ago + days),
        ..facts
    }
}

fn verdict(facts: Facts, weights: &Weights, gap: f64) -> Option<Verdict> {
    Verdict::of(&facts, weights, gap, None)
}

proptest! {
    #[test]
    fn a_score_is_a_probability(
        facts in facts(), weights in weights(), gap in 2.0..60.0_f64, away in 0..2_000_i32,
    ) {
        let verdict = verdict(later(facts, away), &weights, gap).unwrap();
        if let Some(score) = verdict.score {
            prop_assert!((0.0..=1.0).contains(&score), "{score}");
        }
        prop_assert_eq!(verdict.score.is_some(), verdict.level >= Level::Low);
    }

    #[test]
    fn a_score_never_falls_while_a_member_stays_away(
        facts in facts(), gap in 2.0..60.0_f64, away in 0..400_i32, further in 1..60_i32,
        fitted in weights(),
    ) {
        for weights in [DEFAULT, fitted] {
            let score = |days| {
                let facts = Facts { ends_in: None, ..later(facts, days) };
                weights.log_odds(&facts.signals(gap))
            };
            let (now, then) = (score(away), score(away + further));
            prop_assert!(then >= now - 1e-9, "{now} falls to {then}");
        }
    }

    #[test]
    fn the_factors_add_up_to_the_log_odds(
        facts in facts(), weights in weights(), gap in 2.0..60.0_f64, away in 0..400_i32,
    ) {
        let facts = later(facts, away);
        let Some(Verdict { score: Some(score), factors, .. }) = verdict(facts, &weights, gap)
        else { return Ok(()) };
        let points: f64 = factors.iter().map(|factor| factor.points).sum();
        let log_odds = weights.log_odds(&facts.signals(gap));
        prop_assert!((points - log_odds).abs() < 1e-9, "{points} is not {log_odds}");
        prop_assert!((probability(points) - f64::from(score)).abs() < 1e-6);
        let (intercept, reasons) = factors.split_last().unwrap();
        prop_assert_eq!(&*intercept.code, "intercept");
        prop_assert!(reasons.is_sorted_by(|a, b| a.points >= b.points));
        prop_assert!(reasons.iter().all(|it| SIGNALS.contains(&&*it.code) && it.text.is_some()));
    }

    #[test]
    fn a_level_falls_only_well_below_its_cut(
        from in 0.0..=1.0_f64, to in 0.0..=1.0_f64,
    ) {
        let before = Level::at(from, None);
        let after = Level::at(to, Some(before));
        let bare = Level::at(to, None);
        prop_assert!(after >= bare && after <= Level::at(to + 0.05, None).max(bare));
        prop_assert!(after == bare || after <= before);
        if (to - from).abs() < 0.05 {
            prop_assert!(after >= before, "{from} to {to} loses {before:?}");
        }
    }
}

#[rstest]
#[case::at_the_cut(0.25, None, Level::Medium)]
#[case::below_it(0.2499, None, Level::Low)]
#[case::just_below_and_held(0.46, Some(Level::High), Level::High)]
#[case::far_enough_below(0.44, Some(Level::High), Level::Medium)]
#[case::two_at_once(0.2, Some(Level::Critical), Level::Medium)]
#[case::two_and_more(0.1, Some(Level::Critical), Level::Low)]
#[case::rising_at_the_cut(0.75, Some(Level::High), Level::Critical)]
#[case::first_score_of_the_new(0.5, Some(Level::New), Level::High)]
fn a_level_follows_its_score(
    #[case] score: f64,
    #[case] previous: Option<Level>,
    #[case] expected: Level,
) {
    assert_eq!(Level::at(score, previous), expected);
}

/// Every `gap` days for a year, then absent; in a gym where they come every
/// three days.
fn absent(gap: i32, days: i32) -> f64 {
    let facts = later(
        Facts {
            visits: 1 + 365 / gap,
            first_ago: 365,
            recent: 28 / gap,
            before: 56 / gap,
            joined_ago: Some(365),
            ..Facts::default()
        },
        0,
    );
    let facts = Facts {
        recent: ((28 - days) / gap).max(0),
        ..later(facts, days)
    };
    probability(DEFAULT.log_odds(&facts.signals(3.0)))
}

#[rstest]
#[case::daily_and_here(1, 0, 0.0..0.02)]
#[case::daily_and_ten_days_away(1, 10, 0.2..0.7)]
#[case::thrice_weekly_three_days(2, 3, 0.01..0.06)]
#[case::thrice_weekly_three_weeks(2, 21, 0.5..0.85)]
#[case::thrice_weekly_two_months(2, 60, 0.95..1.0)]
#[case::weekly_and_here(7, 2, 0.02..0.12)]
#[case::weekly_three_weeks(7, 21, 0.15..0.4)]
#[case::weekly_two_months(7, 60, 0.7..0.97)]
#[case::monthly_and_here(28, 1, 0.3..0.5)]
#[case::monthly_three_weeks(28, 21, 0.4..0.6)]
#[case::monthly_four_months(28, 120, 0.7..0.97)]
fn the_default_says_what_one_would_expect(
    #[case] gap: i32,
    #[case] days: i32,
    #[case] expected: std::ops::Range<f64>,
) {
    let score = absent(gap, days);
    assert!(expected.contains(&score), "{score}");
}
