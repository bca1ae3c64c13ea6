//! When a gym was open: from its week and its time zone to instants.
//!
//! Promises spans that are half-open, sorted, disjoint and do not touch. A
//! local time that the clocks skip in spring moves forward by what they skip;
//! of one that comes twice in autumn, an opening takes the earlier and a
//! closing the later instant. Pure: knows neither the database nor the clock.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta};
use chrono::{TimeZone, Utc};
use chrono_tz::Tz;
use serde_json::Value;

/// How far back anybody looks for opening time.
pub const LOOK_BACK: TimeDelta = TimeDelta::days(28);

/// What is looked at first: most gyms open every day.
const LATELY: [TimeDelta; 3] = [TimeDelta::days(2), TimeDelta::days(7), LOOK_BACK];

/// The days as `gyms.opening_hours` calls them.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The hours of a gym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hours {
    /// It never closes.
    Always,
    /// The same every week, on the clock of its own zone.
    Weekly(Week),
}

/// Opening and closing on each day of a week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Week {
    zone: Tz,
    /// Monday first. A closing at or before its opening is on the next day.
    days: [Vec<(NaiveTime, NaiveTime)>; 7],
}

/// A stretch of opening time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first instant in it.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub to: DateTime<Utc>,
}

/// Why hours could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No such time zone.
    #[error("the time zone {0} is unknown")]
    Zone(String),
    /// Not of the form that `gyms.opening_hours` asks for.
    #[error("the opening hours are unreadable at {0}")]
    Week(String),
    /// Postgres keeps numbers that no number here can hold.
    #[error("the opening hours hold a number too large to read")]
    Number,
}

impl Hours {
    /// Reads `gyms.opening_hours` and `gyms.timezone`: no hours = always open,
    /// a missing day = closed.
    ///
    /// # Errors
    /// When the zone is unknown or the week is not of the asked form.
    pub fn read(hours: Option<&Value>, zone: &str) -> Result<Self, Unreadable> {
        let Some(hours) = hours else {
            return Ok(Self::Always);
        };
        // As Postgres reads it, which has checked it.
        let zone = Tz::from_str_insensitive(zone).map_err(|_| Unreadable::Zone(zone.to_owned()))?;
        let mut days: [Vec<_>; 7] = Default::default();
        for (name, spans) in hours.as_object().ok_or_else(|| odd(hours))? {
            let day = DAYS.iter().position(|day| day == name);
            let day = day.ok_or_else(|| Unreadable::Week(name.clone()))?;
            let spans = spans.as_array().ok_or_else(|| odd(spans))?;
            days[day] = spans.iter().map(times).collect::<Result<_, _>>()?;
        }
        Ok(Self::Weekly(Week { zone, days }))
    }

    /// Reads them as text.
    ///
    /// # Errors
    /// As [`Hours::read`], and when the text is no JSON to us.
    pub fn of_text(hours: Option<&str>, zone: &str) -> Result<Self, Unreadable> {
        let hours = hours.map(serde_json::from_str::<Value>).transpose();
        Self::read(hours.map_err(|_| Unreadable::Number)?.as_ref(), zone)
    }

    /// The opening time in `[from, to)`.
    #[must_use]
    pub fn spans(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Span> {
        match self {
            Self::Always if from < to => vec![Span { from, to }],
            Self::Always => Vec::new(),
            Self::Weekly(week) => week.spans(from, to),
        }
    }

    /// The earliest instant after which there was no more than `open_for` of
    /// opening time until `now`, [`LOOK_BACK`] ago at the earliest. A
    /// kiosk that was heard at or after it has been silent for no longer.
    /// `None` when there was no opening time at all.
    #[must_use]
    pub fn silent_since(&self, now: DateTime<Utc>, open_for: TimeDelta) -> Option<DateTime<Utc>> {
        let mut any = false;
        for back in LATELY {
            let mut left = open_for;
            for span in self.spans(now - back, now).iter().rev() {
                any = true;
                if span.length() > left {
                    return Some(span.to - left);
                }
                left -= span.length();
            }
        }
        any.then(|| now - LOOK_BACK)
    }

    /// The last `length` of opening time before `now`; less of it when there
    /// was not so much within [`LOOK_BACK`].
    #[must_use]
    pub fn latest(&self, now: DateTime<Utc>, length: TimeDelta) -> Vec<Span> {
        self.silent_since(now, length)
            .map_or_else(Vec::new, |from| self.spans(from, now))
    }
}

impl Span {
    /// How long it lasts.
    #[must_use]
    pub fn length(&self) -> TimeDelta {
        self.to - self.from
    }
}

impl Week {
    fn spans(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Span> {
        let day = |instant: DateTime<Utc>| instant.with_timezone(&self.zone).date_naive();
        let last = day(to);
        // The evening before may reach into the first day.
        let first = day(from) - Days::new(1);
        let mut spans: Vec<Span> = first
            .iter_days()
            .take_while(|day| *day <= last)
            .flat_map(|day| self.spans_of(day))
            .map(|span| Span {
                from: span.from.max(from),
                to: span.to.min(to),
            })
            .filter(|span| span.from < span.to)
            .collect();
        spans.sort_unstable_by_key(|span| span.from);
        spans.dedup_by(|next, span| {
            let touches = next.from <= span.to;
            if touches {
                span.to = span.to.max(next.to);
            }
            touches
        });
        spans
    }

    fn spans_of(&self, day: NaiveDate) -> impl Iterator<Item = Span> {
        let of_day = &self.days[day.weekday().num_days_from_monday() as usize];
        of_day.iter().map(move |(opens, closes)| {
            let until = if closes <= opens {
                day + Days::new(1)
            } else {
                day
            };
            Span {
                from: self.opening(day.and_time(*opens)),
                to: self.closing(until.and_time(*closes)),
            }
        })
    }

    fn opening(&self, local: NaiveDateTime) -> DateTime<Utc> {
        let instant = self.zone.from_local_datetime(&local).earliest();
        instant.map_or_else(|| self.after_the_gap(local), |instant| instant.to_utc())
    }

    fn closing(&self, local: NaiveDateTime) -> DateTime<Utc> {
        let instant = self.zone.from_local_datetime(&local).latest();
        instant.map_or_else(|| self.after_the_gap(local), |instant| instant.to_utc())
    }

    /// A local time that does not exist: as many minutes after the clocks
    /// were put forward as it says, which is what the old offset makes of it.
    fn after_the_gap(&self, local: NaiveDateTime) -> DateTime<Utc> {
        let the_day_before = local - TimeDelta::days(1);
        let offset = self.zone.offset_from_utc_datetime(&the_day_before);
        let behind = TimeDelta::seconds(offset.fix().local_minus_utc().into());
        (local - behind).and_utc()
    }
}

/// One `["06:00", "22:00"]`.
fn times(span: &Value) -> Result<(NaiveTime, NaiveTime), Unreadable> {
    let read = |index: usize| time(span.get(index)?.as_str()?);
    match (read(0), read(1), span.get(2)) {
        (Some(opens), Some(closes), None) => Ok((opens, closes)),
        _ => Err(odd(span)),
    }
}

fn time(text: &str) -> Option<NaiveTime> {
    let (hour, minute) = text.split_once(':')?;
    NaiveTime::from_hms_opt(hour.parse().ok()?, minute.parse().ok()?, 0)
}

fn odd(value: &Value) -> Unreadable {
    let mut text = value.to_string();
    text.truncate(text.floor_char_boundary(60));
    Unreadable::Week(text)
}
