//! When a gym's readers are silent: its visits are a small part of what they
//! were.
//!
//! Pure. Day by day, the members who came are held against the same day of the
//! week in the four weeks before, without those that were silent: so a second
//! silence is seen as well as the first, and a gym that is closed on Sundays is
//! not silent. One visit that was entered by hand hides no dead reader: a day
//! is quiet with up to a tenth of what is usual.

use std::collections::VecDeque;

use chrono::{Datelike, NaiveDate};

/// The same day of so many weeks says what is usual.
const WEEKS: usize = 4;
/// A day is quiet with at most this share of what is usual.
const SHARE: f64 = 0.1;
/// So many quiet days in a row are a silence, and so many visits missing.
const DAYS: u32 = 3;
const VISITS: f64 = 20.0;

/// A silence of one gym.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Its first day.
    pub began_on: NaiveDate,
    /// The day on which visits came again.
    pub ended_on: Option<NaiveDate>,
    /// What was usual on one of its days.
    pub usual_per_day: f64,
    /// Since when that was usual; none of a silence that was known.
    pub usual_since: Option<NaiveDate>,
}

/// The silences that `known` does not hold yet, or holds with another end.
///
/// `came` are the days with visits, in order, and how many members came;
/// today's is not over, and can only end a silence.
#[must_use]
pub fn found(came: &[(NaiveDate, i32)], today: NaiveDate, known: &[Silence]) -> Vec<Silence> {
    let mut usual = Usual::default();
    let mut found: Vec<Silence> = Vec::new();
    let mut quiet: Vec<(NaiveDate, i32)> = Vec::new();
    let mut came = came.iter().copied().peekable();
    let days = came.peek().map(|(first, _)| first.iter_days());
    for day in days.into_iter().flatten().take_while(|day| *day <= today) {
        let members = came.next_if(|(on, _)| *on == day).map_or(0, |(_, of)| of);
        let within = known.iter().find(|one| one.holds(day));
        let is_over = found
            .iter()
            .any(|one| within.is_some_and(|it| it.began_on == one.began_on));
        let within = within.filter(|_| !is_over);
        let share = f64::from(members) / usual.around(day, within).max(1.0);
        let is_quiet = members == 0 || share <= SHARE;
        match within {
            Some(_) if is_quiet => quiet.clear(),
            Some(silence) => found.push(Silence {
                ended_on: Some(day),
                usual_since: None,
                ..silence.clone()
            }),
            None if is_quiet && day < today => quiet.push((day, members)),
            None => {
                let ended_on = (!is_quiet).then_some(day);
                let run = std::mem::take(&mut quiet);
                match usual.silence(&run, ended_on) {
                    Some(silence) => found.push(silence),
                    None => run.into_iter().for_each(|(on, of)| usual.note(on, of)),
                }
            }
        }
        if !is_quiet {
            usual.note(day, members);
        }
    }
    found
}

impl Silence {
    fn holds(&self, day: NaiveDate) -> bool {
        self.began_on <= day && self.ended_on.is_none_or(|ended_on| day < ended_on)
    }
}

/// The members who came, by day of the week.
#[derive(Debug, Default)]
struct Usual([VecDeque<(NaiveDate, i32)>; 7]);

impl Usual {
    fn note(&mut self, day: NaiveDate, members: i32) {
        let weekday = &mut self.0[day.weekday().num_days_from_monday() as usize];
        weekday.push_back((day, members));
        if weekday.len() > WEEKS {
            weekday.pop_front();
        }
    }

    fn on(&self, day: NaiveDate) -> f64 {
        mean(&self.0[day.weekday().num_days_from_monday() as usize])
    }

    /// On that day, or the mean of all open days where that is more: a day on
    /// which few come does not end a silence by one visit.
    fn around(&self, day: NaiveDate, within: Option<&Silence>) -> f64 {
        let open = self.0.iter().map(mean).filter(|of| *of > 0.0);
        let days: u32 = open.clone().map(|_| 1).sum();
        let mean_of_week = open.sum::<f64>() / f64::from(days.max(1));
        let usual = mean_of_week.max(self.on(day));
        within.map_or(usual, |silence| usual.max(silence.usual_per_day))
    }

    /// What a run of quiet days is, if it is a silence.
    fn silence(&self, run: &[(NaiveDate, i32)], ended_on: Option<NaiveDate>) -> Option<Silence> {
        let open = run.iter().filter(|(day, _)| self.on(*day) > 0.0);
        let days: u32 = open.clone().map(|_| 1).sum();
        let expected: f64 = open.clone().map(|(day, _)| self.on(*day)).sum();
        let came: f64 = open.map(|(_, members)| f64::from(*members)).sum();
        let is_silence = days >= DAYS && expected >= VISITS && came <= expected * SHARE;
        is_silence.then(|| Silence {
            began_on: run[0].0,
            ended_on,
            usual_per_day: expected / f64::from(days),
            usual_since: self.0.iter().flatten().map(|(day, _)| *day).min(),
        })
    }
}

fn mean(days: &VecDeque<(NaiveDate, i32)>) -> f64 {
    let count: u32 = days.iter().map(|_| 1).sum();
    let sum: f64 = days.iter().map(|(_, members)| f64::from(*members)).sum();
    sum / f64::from(count.max(1))
}
