//! The last complete week of a gym, in the gym's own time zone.
//!
//! Owns which instants belong to an ISO week: from Monday 00:00 to the next
//! Monday 00:00 on the gym's clocks, so that a week has 167 hours in spring
//! and 169 in autumn. Pure; the moment is passed in.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Duration, NaiveDate, NaiveTime, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

/// A week by its ISO number, written `2026-W05`. Its year is the one that its
/// Thursday is in, which around New Year is not that of all its days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IsoWeek {
    /// The ISO year.
    pub year: i32,
    /// From 1 to 52 or 53.
    pub week: u32,
}

/// A week in one time zone, and where the week before it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Week {
    /// Its number.
    pub iso: IsoWeek,
    /// Its first day.
    pub monday: NaiveDate,
    /// Monday 00:00 of the week before.
    pub last_starts: DateTime<Utc>,
    /// Monday 00:00.
    pub starts: DateTime<Utc>,
    /// The next Monday 00:00, which belongs to it no more.
    pub ends: DateTime<Utc>,
}

impl Week {
    /// The last week that was over at `now` in `zone`.
    #[must_use]
    pub fn last_complete(now: DateTime<Utc>, zone: Tz) -> Self {
        let today = now.with_timezone(&zone).date_naive();
        let this_monday = today.week(Weekday::Mon).first_day();
        Self::beginning(this_monday - Days::new(7), zone)
    }

    /// The week that begins on this Monday.
    fn beginning(monday: NaiveDate, zone: Tz) -> Self {
        let number = monday.iso_week();
        Self {
            iso: IsoWeek {
                year: number.year(),
                week: number.week(),
            },
            monday,
            last_starts: start_of(monday - Days::new(7), zone),
            starts: start_of(monday, zone),
            ends: start_of(monday + Days::new(7), zone),
        }
    }
}

impl IsoWeek {
    /// Its first day.
    #[must_use]
    pub fn monday(self) -> NaiveDate {
        NaiveDate::from_isoywd_opt(self.year, self.week, Weekday::Mon).unwrap_or_default()
    }
}

impl fmt::Display for IsoWeek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-W{:02}", self.year, self.week)
    }
}

impl FromStr for IsoWeek {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "a week is written 2026-W05";
        let (year, week) = text.split_once("-W").ok_or(how)?;
        let number = |digits: &str, length| {
            let is_number = digits.len() == length && digits.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| digits.parse::<u16>().ok()).flatten()
        };
        let year = i32::from(number(year, 4).ok_or(how)?);
        let week = u32::from(number(week, 2).ok_or(how)?);
        NaiveDate::from_isoywd_opt(year, week, Weekday::Mon).ok_or("that year has no such week")?;
        Ok(Self { year, week })
    }
}

/// The first instant of a day: midnight, or the moment that the clocks jump
/// to where they skip midnight.
fn start_of(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    let quarters = (0..=96).map(|quarter| midnight + Duration::minutes(15 * quarter));
    let mut times = quarters.filter_map(|time| zone.from_local_datetime(&time).earliest());
    times
        .next()
        .map_or_else(|| midnight.and_utc(), |time| time.to_utc())
}
