//! The alerts of the two shop jobs.

use super::Kind;

/// expire-stale-orders: a webhook of Stripe was lost.
pub const ORDER_PAID_UNSETTLED: Kind = Kind::new(
    "order_paid_unsettled",
    "high",
    "An order is paid at Stripe but unpaid here",
    &["Settle the order in the shop; a webhook of Stripe was lost or failed."],
);

/// expire-stale-orders: an intent of an unpaid order.
pub const ORDER_INTENT_MISSING: Kind = Kind::new(
    "payment_intent_missing",
    "warning",
    "A payment intent of an unpaid order is unknown to Stripe",
    &["Check that STRIPE_SECRET_KEY belongs to the account and mode the order was made in."],
);

/// expire-stale-orders: the database refuses.
pub const ORDER_ROWS_REFUSED: Kind = Kind::new(
    "order_expiry_stuck",
    "high",
    "An unpaid order cannot be expired: its rows are refused by the database",
    &[
        "Compare stock_levels.reserved with the ACTIVE reservations of this order, and fix the difference.",
    ],
);

/// expire-stale-orders: Stripe refuses.
pub const ORDER_CANCEL_REFUSED: Kind = Kind::new(
    "order_expiry_stuck",
    "high",
    "An unpaid order cannot be expired: Stripe refuses to end its payment intent",
    &["Read Stripe's words in the details, and look the intent up in Stripe's dashboard."],
);

/// expire-stale-orders: no final answer in many attempts.
pub const ORDER_STAYS_OPEN: Kind = Kind::new(
    "order_expiry_stuck",
    "high",
    "An unpaid order cannot be expired: many attempts brought no final answer of Stripe's",
    &[
        "Read the error in the details, and look the order's payment intents up in Stripe's dashboard.",
    ],
);

/// expire-stale-orders: many orders at once.
pub const ORDERS_INTENT_MISSING: Kind = Kind::new(
    "payment_intent_missing",
    "high",
    "Payment intents of {} unpaid orders are unknown to Stripe",
    &[
        "Stripe knows other intents under this key: these are of another account or mode, or were deleted.",
        "Once you are sure that no payment hangs on them, cancel the orders the way the shop does it.",
    ],
);

/// expire-stale-orders: many orders at once.
pub const ORDERS_STUCK: Kind = Kind::new(
    "order_expiry_stuck",
    "high",
    "{} unpaid orders cannot be expired: Stripe refuses, or gives no final answer",
    &["Read the example in the details; order_expirations has the error of each order."],
);

/// expire-stale-orders: a part of the money has come in.
pub const ORDER_PARTLY_PAID: Kind = Kind::new(
    "order_partly_paid",
    "high",
    "An order past its expiry is paid in part at Stripe",
    &[
        "Look the payment intent up in Stripe's dashboard: a bank transfer has come in for less than the amount.",
        "Ask the customer for the rest, or refund what has come in; then settle or cancel the order in the shop.",
    ],
);

/// Both shop jobs: our row was wrong.
pub const INTENT_CORRECTED: Kind = Kind::new(
    "payment_status_corrected",
    "warning",
    "Payment intent {} was {} here, but is {} at Stripe",
    &[
        "Find out which system wrote the status: nothing but Stripe's word may end a payment.",
        "The row says what Stripe says now. Dismiss the alert when the cause is known.",
    ],
);

/// Both shop jobs: many of our rows were wrong.
pub const INTENTS_CORRECTED: Kind = Kind {
    title: "The final status of many payment intents was not Stripe's",
    ..INTENT_CORRECTED
};

/// Both shop jobs: the key is wrong.
pub const STRIPE_DENIED: Kind = Kind::new(
    "stripe_denied",
    "critical",
    "Stripe denies our key: no order with a payment intent is expired",
    &[
        "Check that STRIPE_SECRET_KEY is valid, and of the account and mode (test or live) the orders were made in.",
        "The alert ends with the first run that Stripe answers.",
    ],
);

/// Both shop jobs: the key may only read.
pub const STRIPE_WRITES_DENIED: Kind = Kind {
    title: "Stripe lets our key read, but end nothing: no order with an open payment intent is expired",
    actions: &[
        "Give the restricted key the right to write PaymentIntents and Checkout Sessions.",
        "The alert ends with the first payment intent that is ended.",
    ],
    ..STRIPE_DENIED
};

/// Both shop jobs: a matter of the account, and of no single intent.
pub const STRIPE_REFUSES_ALL: Kind = Kind::new(
    "stripe_refuses_all",
    "critical",
    "Stripe refuses every call alike: no order with a payment intent is expired",
    &[
        "Read Stripe's words in the details: the account may be restricted, or the API version withdrawn.",
        "The alert ends with the first run that Stripe answers.",
    ],
);

/// cleanup-stale-payment-intents: many intents at once.
pub const INTENTS_MISSING: Kind = Kind {
    title: "Stripe does not know many payment intents that are open here",
    ..INTENT_MISSING
};

/// cleanup-stale-payment-intents: an intent that Stripe does not know.
pub const INTENT_MISSING: Kind = Kind::new(
    "payment_intent_missing",
    "warning",
    "Stripe does not know a payment intent that is open here",
    &[
        "Check that STRIPE_SECRET_KEY belongs to the account and mode the intent was made in.",
        "If it did not, nothing is to be done: it is asked about again after a week. To have it asked about at the next run, set its last_synced_at in payment_intents to null.",
        "If it does, no customer can pay through this intent: dismiss the alert.",
    ],
);

/// cleanup-stale-payment-intents: money for an order that has ended.
pub const ORDER_PAID_AFTER_END: Kind = Kind::new(
    "order_paid_after_end",
    "high",
    "Order {} was paid although it is {}",
    &[
        "Find the payment in Stripe's dashboard, by the order's payment intents.",
        "Refund it and set the order to REFUNDED, or, if the goods are still there, take the order up again.",
    ],
);
