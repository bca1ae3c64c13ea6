//! Cron expressions, in the grammar that QStash and croner read alike.
//!
//! QStash's `CRON_TZ=` points to the grammar of Go's robfig/cron. Allowed are
//! five fields of numbers, `*`, lists, ranges and steps. Names, `@daily`,
//! seconds, `7` for Sunday, ranges that wrap around, `L`, `W`, `#` and both
//! kinds of days at once are refused, because parsers disagree about them.

use chrono::{Datelike, NaiveDate};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// What the fields are, and what they may hold.
const FIELDS: [(&str, u32, u32); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 6),
];

/// Reads an expression.
///
/// # Errors
/// Every fault, each with the field it is in.
pub(super) fn read(text: &str) -> Result<Cron, Vec<String>> {
    let fields: Vec<&str> = text.split(' ').collect();
    if fields.len() != FIELDS.len() || fields.contains(&"") {
        return Err(vec![format!(
            "{text:?} must be five fields with a space between: minute, hour, day of the month, month, day of the week"
        )]);
    }
    let faults: Vec<String> = fields
        .iter()
        .zip(FIELDS)
        .filter_map(|(field, (name, low, high))| {
            let mut items = field.split(',');
            let why = items.find_map(|item| fault(item, low, high))?;
            Some(format!("the field for the {name}, {field:?}: {why}"))
        })
        .collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    if fields[2] != "*" && fields[4] != "*" {
        let why =
            "names days of the month and of the week: parsers disagree whether both must match";
        return Err(vec![format!("{text:?} {why}")]);
    }
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(text)
        .map_err(|error| vec![format!("{text:?}: {error}")])
}

/// How many times the expression comes on this day, if its clock is not
/// changed.
pub(super) fn ticks_on(cron: &Cron, day: NaiveDate) -> usize {
    if !is_on(cron, day) {
        return 0;
    }
    cron.pattern.minutes.values().len() * cron.pattern.hours.values().len()
}

/// Whether the expression comes on this day: one of the two kinds of days is
/// always `*`, so both have to match.
fn is_on(cron: &Cron, day: NaiveDate) -> bool {
    let pattern = &cron.pattern;
    let names = |values: Vec<u16>, number| values.into_iter().any(|it| u32::from(it) == number);
    names(pattern.days.values(), day.day())
        && names(pattern.months.values(), day.month())
        && names(
            pattern.days_of_week.values(),
            day.weekday().num_days_from_sunday(),
        )
}

/// What is wrong with an item of a field.
fn fault(item: &str, low: u32, high: u32) -> Option<String> {
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let is_single = range != "*" && !range.contains('-');
    if let Some(step) = step {
        if !number(step).is_some_and(|step| (1..=high).contains(&step)) {
            return Some(format!("a step is a number from 1 to {high}"));
        }
        if is_single {
            return Some("a step needs * or a range before it".to_owned());
        }
    }
    if range == "*" {
        return None;
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let bound = |text: &str| number(text).filter(|number| (low..=high).contains(number));
    match (bound(first), bound(last)) {
        (Some(first), Some(last)) if first <= last => None,
        (Some(_), Some(_)) => Some("a range begins with the smaller number".to_owned()),
        _ => Some(format!(
            "only *, numbers from {low} to {high}, lists, ranges and steps"
        )),
    }
}

/// A number in one or two digits, without a zero before it.
fn number(text: &str) -> Option<u32> {
    let is_plain = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain)?;
    (text.len() == 1 || number >= 10).then_some(number)
}
