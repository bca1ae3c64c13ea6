//! The names that the migrations give to tables, views, indexes and functions.
//!
//! Read from their text, so that a migration to come is among them. A name that
//! Postgres chooses itself is not: it chooses one that is free.

use std::collections::BTreeSet;

use sqlx::migrate::Migration;

/// Names by their kind.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Names {
    /// Of tables and views.
    pub relations: BTreeSet<&'static str>,
    /// Of indexes.
    pub indexes: BTreeSet<&'static str>,
    /// Of functions.
    pub functions: BTreeSet<&'static str>,
}

impl Names {
    /// What these migrations create.
    #[must_use]
    pub fn created_by(migrations: impl Iterator<Item = &'static Migration>) -> Self {
        let mut names = Self::default();
        for line in migrations.flat_map(|it| it.sql.as_str().lines()) {
            let Some(line) = line.strip_prefix("create ") else {
                continue;
            };
            let mut words = line.split([' ', '(']);
            let mut next = |passed: &[&str]| words.find(|it| !passed.contains(it));
            let kind = next(&["or", "replace", "unique"]);
            let Some(name) = next(&["concurrently", "if", "not", "exists"]) else {
                continue;
            };
            match kind {
                Some("table" | "view") => names.relations.insert(name),
                Some("index") => names.indexes.insert(name),
                Some("function") => names.functions.insert(name),
                _ => false,
            };
        }
        names
    }

    /// Those that are not among the others.
    #[must_use]
    pub fn without(&self, others: &Self) -> Self {
        Self {
            relations: &self.relations - &others.relations,
            indexes: &self.indexes - &others.indexes,
            functions: &self.functions - &others.functions,
        }
    }
}
