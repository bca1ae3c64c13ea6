//! The schema that holds our tables.
//!
//! Promises that its name needs no quotes and is no word that Postgres keeps
//! for itself, so that it can stand in any statement as it is.

use std::sync::Arc;

/// The name of a schema; `public` unless `DATABASE_SCHEMA` says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema(Arc<str>);

impl Schema {
    /// A name of at most 63 letters, digits and `_`, in lower case, that begins
    /// with no digit; `None` where it is another, or one of Postgres' own.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let is_of_postgres = name.starts_with("pg_") || name == "information_schema";
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins_well = name.starts_with(|c: char| !c.is_ascii_digit());
        let is_fit = (1..=63).contains(&name.len()) && name.chars().all(is_plain);
        (is_fit && begins_well && !is_of_postgres).then(|| Self(name.into()))
    }

    /// As it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// What a name without a schema is looked up in. Tables of the session come
    /// last: they would stand in for ours.
    #[must_use]
    pub fn search_path(&self) -> String {
        format!("\"{}\", pg_temp", self.0)
    }
}

impl Default for Schema {
    fn default() -> Self {
        Self("public".into())
    }
}
