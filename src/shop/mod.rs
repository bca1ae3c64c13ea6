//! What the two shop jobs share: payment intents and reserved stock.

pub mod payment_intents;
pub mod stock;
