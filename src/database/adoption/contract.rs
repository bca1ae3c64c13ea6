//! The contract: what a port must have, and what is done with it.
//!
//! The only place that says so: the checks run from it, and the table in
//! docs/adopting.md is made of it. A test prepares every statement of this
//! program on ports that have what stands here and no more.

use std::fmt::Write as _;

mod ports;

pub use ports::PORTS;

/// Raised when a port must have or take what it had not to before.
pub const VERSION: i32 = 1;

/// Whose tables they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// A shop's.
    Shop,
    /// A gym's.
    Gym,
}

impl Group {
    /// As it is typed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Gym => "gym",
        }
    }
}

/// A table that a host's may stand for.
#[derive(Debug)]
pub struct Port {
    /// Its name in our schema.
    pub name: &'static str,
    /// Whose it is.
    pub group: Group,
    /// What tells one row from another; rows are tried by it.
    pub key: &'static str,
    /// Whether our statements lock its rows.
    pub is_locked: bool,
    /// What our statements read or write, in the order of the table.
    pub columns: &'static [Column],
    /// The jobs that read or write it.
    pub jobs: &'static str,
}

/// A column of a port.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type, as Postgres writes it.
    pub kind: &'static str,
    /// Whether a row may lack it.
    pub null: Null,
}

/// Whether a row may lack it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Null {
    /// A job would fail on it.
    Never,
    /// The row is passed as if it were not there: text that is no moment.
    Passed,
    /// It means something.
    Allowed,
}

/// The names of all ports.
#[must_use]
pub fn names() -> Vec<&'static str> {
    PORTS.iter().map(|port| port.name).collect()
}

/// The table of docs/adopting.md.
#[must_use]
pub fn table() -> String {
    let mut table = String::from(
        "| port | of | columns (a `?` may be null) | written | locked | by |\n|---|---|---|---|---|---|\n",
    );
    for port in &PORTS {
        let columns = port.columns.iter().map(|column| {
            let may_lack = if column.null == Null::Allowed {
                "?"
            } else {
                ""
            };
            format!("`{}` {}{may_lack}", column.name, column.kind)
        });
        let columns = columns.collect::<Vec<_>>().join(", ");
        let written = super::trials::of(port).map(|trial| trial.name);
        let written = written.collect::<Vec<_>>().join("; ");
        let locked = if port.is_locked { "yes" } else { "" };
        let (name, group, jobs) = (port.name, port.group.name(), port.jobs);
        // A String takes what is written.
        let _ = writeln!(
            table,
            "| `{name}` | {group} | {columns} | {written} | {locked} | {jobs} |"
        );
    }
    table
}
