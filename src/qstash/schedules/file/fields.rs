//! The fields of one object of the file, each read with its place at hand.

use chrono::TimeDelta;
use serde_json::{Map, Value};

use super::Faults;

/// An object, where it stands, and what is wrong with it so far.
pub(super) struct Fields<'a, 'f> {
    place: String,
    object: &'a Map<String, Value>,
    faults: &'f mut Faults,
}

impl<'a, 'f> Fields<'a, 'f> {
    pub(super) fn new(place: &str, object: &'a Map<String, Value>, faults: &'f mut Faults) -> Self {
        Self {
            place: place.to_owned(),
            object,
            faults,
        }
    }

    /// The fields of an object in this one.
    pub(super) fn inside(&mut self, name: &str, object: &'a Map<String, Value>) -> Fields<'a, '_> {
        Fields {
            place: self.place_of(name),
            object,
            faults: self.faults,
        }
    }

    /// Refuses every field but these.
    pub(super) fn only(&mut self, known: &[&str]) {
        let unknown = |name: &&String| !known.contains(&name.as_str());
        for name in self.object.keys().filter(unknown) {
            self.fault(name, "there is no such field");
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    pub(super) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.read(name, "a text", Value::as_str)
    }

    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.read(name, "true or false", Value::as_bool)
    }

    pub(super) fn object(&mut self, name: &str) -> Option<&'a Map<String, Value>> {
        self.read(name, "an object", Value::as_object)
    }

    pub(super) fn list(&mut self, name: &str) -> Option<&'a [Value]> {
        self.read(name, "a list", |value| value.as_array().map(Vec::as_slice))
    }

    pub(super) fn number(&mut self, name: &str, most: u64) -> Option<u32> {
        let kind = format!("a whole number from 0 to {most}");
        self.read(name, &kind, |value| {
            let number = value.as_u64().filter(|number| *number <= most)?;
            u32::try_from(number).ok()
        })
    }

    /// Such as `60s`, `15m` or `1d12h`; never zero.
    pub(super) fn duration(&mut self, name: &str) -> Option<TimeDelta> {
        let kind = "a time such as 60s, 15m or 1d12h, and not zero";
        self.read(name, kind, |value| value.as_str().and_then(duration))
    }

    /// A path of this service.
    pub(super) fn path(&mut self, name: &str) -> Option<&'a str> {
        let is_path = |path: &&str| {
            let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#');
            path.starts_with('/') && path.chars().all(is_plain)
        };
        self.read(name, "a path such as /api/qstash/failures", |value| {
            value.as_str().filter(is_path)
        })
    }

    /// Says why a field cannot stand, unless it `holds`.
    pub(super) fn holds(&mut self, name: &str, holds: bool, why: &str) -> bool {
        if !holds {
            self.fault(name, why);
        }
        holds
    }

    pub(super) fn fault(&mut self, name: &str, why: &str) {
        self.faults.add(&self.place_of(name), why);
    }

    fn read<T>(
        &mut self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let Some(value) = self.object.get(name) else {
            self.fault(name, "is missing");
            return None;
        };
        let read = read(value);
        self.holds(name, read.is_some(), &format!("must be {kind}"));
        read
    }

    fn place_of(&self, name: &str) -> String {
        if self.place.is_empty() {
            return name.to_owned();
        }
        format!("{}.{name}", self.place)
    }
}

/// Days, hours, minutes and seconds, in this order, each once at the most:
/// what QStash, the schema and humantime all read alike.
fn duration(text: &str) -> Option<TimeDelta> {
    let mut units = "dhms".chars();
    let mut digits = "";
    let mut rest = text;
    while let Some(end) = rest.find(|c: char| !c.is_ascii_digit()) {
        (digits, rest) = rest.split_at(end);
        let unit = rest.chars().next()?;
        rest = &rest[unit.len_utf8()..];
        if digits.is_empty() || digits.starts_with('0') || !units.any(|known| known == unit) {
            return None;
        }
    }
    let is_whole = rest.is_empty() && !digits.is_empty();
    let duration = humantime::parse_duration(text).ok().filter(|_| is_whole)?;
    TimeDelta::from_std(duration).ok()
}
