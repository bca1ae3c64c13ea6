//! expire_stale_orders
