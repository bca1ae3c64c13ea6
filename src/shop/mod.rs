//! What the two shop jobs share: the frame of a run, payment intents and
//! reserved stock.

pub mod payment_intents;
pub mod stock;
pub mod sweep;
