//! What a gym is beside its rows: when it is open, and how much of that time its
//! kiosks were up.

pub mod opening_hours;
pub mod uptime;
