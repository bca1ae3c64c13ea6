//! What a gym is beside its rows: when it is open.

pub mod opening_hours;
