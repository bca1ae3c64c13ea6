//! Which days of a gym are silent, by how many members came.

use chrono::{Days, NaiveDate};
use jarvis_cron::churn::silence::{Silence, found};
use rstest::rstest;

/// A Monday, and the days after it.
fn day(nth: usize) -> NaiveDate {
    let first = NaiveDate::from_ymd_opt(2025, 3, 3).unwrap();
    first + Days::new(nth as u64)
}

/// Five weeks of `week`, then `days`; the last of them is today.
fn silences(week: [i32; 7], days: &[i32], known: &[Silence]) -> Vec<(usize, Option<usize>)> {
    let members: Vec<i32> = week.repeat(5).into_iter().chain(days.to_vec()).collect();
    let came: Vec<(NaiveDate, i32)> = members
        .iter()
        .enumerate()
        .filter(|(_, members)| **members > 0)
        .map(|(nth, members)| (day(nth), *members))
        .collect();
    let nth = |on: NaiveDate| usize::try_from((on - day(35)).num_days()).unwrap();
    found(&came, day(members.len() - 1), known)
        .into_iter()
        .map(|one| (nth(one.began_on), one.ended_on.map(nth)))
        .collect()
}

const DAILY: [i32; 7] = [100; 7];
const WORKDAYS: [i32; 7] = [50, 50, 50, 50, 50, 0, 0];
const FEW_AT_THE_END: [i32; 7] = [50, 50, 50, 50, 50, 3, 3];

#[rstest]
#[case::none(DAILY, &[100, 90, 80, 20], &[])]
#[case::open(DAILY, &[0, 0, 0, 0], &[(0, None)])]
#[case::today_is_not_over(DAILY, &[0, 0, 0], &[])]
#[case::today_ends_it(DAILY, &[0, 0, 0, 20], &[(0, Some(3))])]
#[case::a_tenth(DAILY, &[10, 10, 10, 10], &[(0, None)])]
#[case::more_than_a_tenth(DAILY, &[11, 11, 11, 11], &[])]
#[case::two_holidays(DAILY, &[0, 0, 100, 0, 0, 100], &[])]
#[case::over(DAILY, &[0, 0, 0, 1, 100, 100], &[(0, Some(4))])]
#[case::two(DAILY, &[0, 0, 0, 100, 100, 0, 0, 0, 0], &[(0, Some(3)), (5, None)])]
#[case::closed_days_do_not_count(WORKDAYS, &[50, 50, 50, 0, 0, 0, 0, 50], &[])]
#[case::closed_days_end_nothing(WORKDAYS, &[50, 50, 50, 50, 0, 0, 0, 0, 0, 0], &[(4, None)])]
#[case::by_hand_on_a_closed_day(WORKDAYS, &[50, 50, 50, 50, 1, 1, 1, 1, 1, 1], &[(4, None)])]
#[case::days_with_few_are_not_silent(FEW_AT_THE_END, &[50, 50, 50, 50, 50, 3, 3, 50], &[])]
#[case::one_on_a_day_with_few(FEW_AT_THE_END, &[50, 50, 50, 50, 1, 1, 1, 1, 1], &[(4, None)])]
#[case::a_small_gym([1; 7], &[0; 30], &[(0, None)])]
#[case::a_small_gym_for_some_days([1; 7], &[0; 12], &[])]
fn days_are_silent(
    #[case] week: [i32; 7],
    #[case] days: &[i32],
    #[case] expected: &[(usize, Option<usize>)],
) {
    assert_eq!(silences(week, days, &[]), expected);
}

/// Of ten days that are known: it goes on, ends, ended before by what came late.
#[rstest]
#[case::open(None, &[0; 20], &[])]
#[case::ends(None, &[0, 0, 0, 0, 0, 0, 80, 0], &[(0, Some(6))])]
#[case::ended(Some(10), &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 100], &[])]
#[case::came_late(Some(10), &[0, 0, 0, 0, 80, 80, 80, 80, 80, 80, 100], &[(0, Some(4))])]
#[case::again(Some(4), &[0, 0, 0, 0, 100, 100, 0, 0, 0, 0], &[(6, None)])]
fn a_silence_that_is_known_is_not_found_again(
    #[case] ended_on: Option<usize>,
    #[case] days: &[i32],
    #[case] expected: &[(usize, Option<usize>)],
) {
    let known = Silence {
        began_on: day(35),
        ended_on: ended_on.map(|nth| day(35 + nth)),
        usual_per_day: 100.0,
        usual_since: None,
    };
    assert_eq!(silences(DAILY, days, &[known]), expected);
}
