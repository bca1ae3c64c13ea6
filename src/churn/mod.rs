//! Churn: how likely a member is not to come in the next 30 days, and why.
//!
//! Owns the model: the facts it reads ([`facts`]), the probability
//! ([`model`]), level and factors ([`verdict`]), the weights in use
//! ([`weights`]), the mean of a gym that has none of its own ([`offset`]), when
//! a gym's readers are silent ([`silence`]) and fitting a gym's own weights
//! ([`fit`]). The job `daily-churn-analysis` scores members with it and keeps
//! the scores.

pub mod facts;
pub mod fit;
pub mod model;
pub mod offset;
pub mod silence;
pub mod verdict;
pub mod weights;
