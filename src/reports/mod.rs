//! What a weekly report is: figures, insights, page, CSV, e-mail and links.
//!
//! Owns the content of a report and every form that people get it in. Reads
//! stored reports ([`stored`]); the job `weekly-reports` counts and stores
//! them. Everything but [`stored`] is pure.

pub mod counts;
pub mod csv;
pub mod email;
pub mod i18n;
pub mod insights;
pub mod kpis;
pub mod links;
pub mod metrics;
pub mod numbers;
pub mod page;
pub mod reasons;
pub mod report;
pub mod stored;
pub mod week;
