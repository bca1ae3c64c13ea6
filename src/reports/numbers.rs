//! Numbers, dates and hours as French and English write them.
//!
//! French groups digits with a narrow no-break space, sets one before `%`,
//! and writes decimals with a comma; English uses a comma, none, and a point.
//! A minus is a minus sign and no hyphen. Pure.

use chrono::{DateTime, Datelike, Days, NaiveDate, Timelike, Utc};
use chrono_tz::Tz;

use super::i18n::Language;

/// The narrow no-break space.
const NARROW: char = '\u{202f}';
/// The minus sign.
const MINUS: char = '\u{2212}';

/// Days and months by language, French first.
const DAYS: [&str; 2] = [
    "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
];
const SHORT_DAYS: [&str; 2] = [
    "lun. mar. mer. jeu. ven. sam. dim.",
    "Mon Tue Wed Thu Fri Sat Sun",
];
const MONTHS: [&str; 2] = [
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "January February March April May June July August September October November December",
];

impl Language {
    /// A whole number: `1 234` or `1,234`.
    #[must_use]
    pub fn count(self, number: i64) -> String {
        let digits = number.unsigned_abs().to_string();
        let mut text = String::new();
        if number < 0 {
            text.push(MINUS);
        }
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(self.either(NARROW, ','));
            }
            text.push(digit);
        }
        text
    }

    /// A number with so many decimals: `0,42` or `0.42`.
    #[must_use]
    pub fn decimal(self, number: f64, places: usize) -> String {
        let text = format!("{:.places$}", number.abs());
        let is_zero = text.chars().all(|digit| matches!(digit, '0' | '.'));
        let text = text.replace('.', self.either(",", "."));
        if number < 0.0 && !is_zero {
            format!("{MINUS}{text}")
        } else {
            text
        }
    }

    /// A share, 1 being all: `98,5 %` or `98.5%`.
    #[must_use]
    pub fn percent(self, share: f64, places: usize) -> String {
        let number = self.decimal(share * 100.0, places);
        format!("{number}{}%", self.either("\u{202f}", ""))
    }

    /// A relative change with its sign: `+8 %`.
    #[must_use]
    pub fn change(self, change: f64) -> String {
        signed(self.percent(change, 0))
    }

    /// A difference of counts with its sign: `+8`.
    #[must_use]
    pub fn difference(self, difference: i64) -> String {
        signed(self.count(difference))
    }

    /// A difference with its sign and so many decimals.
    #[must_use]
    pub fn decimal_difference(self, difference: f64, places: usize) -> String {
        signed(self.decimal(difference, places))
    }

    /// A weekday, 0 being Monday.
    #[must_use]
    pub fn weekday(self, day: usize) -> &'static str {
        self.nth(DAYS, day)
    }

    /// A weekday, abbreviated.
    #[must_use]
    pub fn short_weekday(self, day: usize) -> &'static str {
        self.nth(SHORT_DAYS, day)
    }

    /// An hour of the day: `18 h` or `18:00`.
    #[must_use]
    pub fn hour(self, hour: usize) -> String {
        match self {
            Self::French => format!("{hour}{NARROW}h"),
            Self::English => format!("{hour:02}:00"),
        }
    }

    /// The seven days from a Monday:
    /// `du lundi 16 au dimanche 22 novembre 2026`.
    #[must_use]
    pub fn week(self, monday: NaiveDate) -> String {
        let sunday = monday + Days::new(6);
        let mut first = format!("{} {}", self.weekday(0), self.day(monday));
        if monday.month() != sunday.month() {
            first = format!("{first} {}", self.month(monday));
        }
        if monday.year() != sunday.year() {
            first = format!("{first} {}", monday.year());
        }
        let last = format!("{} {}", self.weekday(6), self.date(sunday));
        match self {
            Self::French => format!("du {first} au {last}"),
            Self::English => format!("{first} to {last}"),
        }
    }

    /// A day: `1er mars 2026` or `1 March 2026`.
    #[must_use]
    pub fn date(self, date: NaiveDate) -> String {
        format!("{} {} {}", self.day(date), self.month(date), date.year())
    }

    /// A moment on the clocks of a zone: `16 novembre 2026 à 06:00`.
    #[must_use]
    pub fn moment(self, moment: DateTime<Utc>, zone: &str) -> String {
        let zone = zone.parse().unwrap_or(Tz::UTC);
        let local = moment.with_timezone(&zone);
        let date = self.date(local.date_naive());
        let time = format!("{:02}:{:02}", local.hour(), local.minute());
        format!("{date} {} {time}", self.either("à", "at"))
    }

    fn day(self, date: NaiveDate) -> String {
        match (self, date.day()) {
            (Self::French, 1) => "1er".to_owned(),
            (_, day) => day.to_string(),
        }
    }

    fn month(self, date: NaiveDate) -> &'static str {
        self.nth(MONTHS, date.month0() as usize)
    }

    fn nth(self, [french, english]: [&'static str; 2], place: usize) -> &'static str {
        let mut names = self.either(french, english).split(' ');
        names.nth(place).unwrap_or_default()
    }
}

/// With a plus where there is no minus and something to add.
fn signed(text: String) -> String {
    let is_zero = !text.chars().any(|digit| matches!(digit, '1'..='9'));
    if is_zero || text.starts_with(MINUS) {
        text
    } else {
        format!("+{text}")
    }
}
