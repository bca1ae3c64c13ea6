//! The ports themselves.

use super::Group::{Gym, Shop};
use super::{Column, Null, Port};

const fn some(name: &'static str, kind: &'static str) -> Column {
    let null = Null::Never;
    Column { name, kind, null }
}

const fn maybe(name: &'static str, kind: &'static str) -> Column {
    let null = Null::Allowed;
    Column { name, kind, null }
}

const fn moment(name: &'static str) -> Column {
    let (kind, null) = (WHEN, Null::Passed);
    Column { name, kind, null }
}

const WHEN: &str = "timestamp with time zone";

/// Every port.
pub const PORTS: [Port; 13] = [
    Port {
        name: "orders",
        group: Shop,
        key: "id",
        is_locked: true,
        columns: &[
            some("id", "uuid"),
            some("order_number", "text"),
            some("status", "text"),
            moment("expires_at"),
            maybe("expired_at", WHEN),
            some("created_at", WHEN),
            some("updated_at", WHEN),
        ],
        jobs: "expire-stale-orders, cleanup-stale-payment-intents, cleanup-old-data",
    },
    Port {
        name: "payment_intents",
        group: Shop,
        key: "id",
        is_locked: true,
        columns: &[
            some("id", "uuid"),
            maybe("order_id", "uuid"),
            maybe("stripe_payment_intent_id", "text"),
            maybe("checkout_session_id", "text"),
            some("status", "text"),
            maybe("cancellation_reason", "text"),
            maybe("canceled_at", WHEN),
            some("cancel_attempts", "integer"),
            maybe("last_error", "text"),
            maybe("last_synced_at", WHEN),
            some("created_at", WHEN),
            some("updated_at", WHEN),
            maybe("synced_status", "text"),
        ],
        jobs: "expire-stale-orders, cleanup-stale-payment-intents",
    },
    Port {
        name: "stock_levels",
        group: Shop,
        key: "id",
        is_locked: true,
        columns: &[some("id", "uuid"), some("reserved", "integer")],
        jobs: "expire-stale-orders",
    },
    Port {
        name: "stock_reservations",
        group: Shop,
        key: "order_id",
        is_locked: false,
        columns: &[
            some("order_id", "uuid"),
            some("stock_level_id", "uuid"),
            some("quantity", "integer"),
            some("status", "text"),
            maybe("released_at", WHEN),
            maybe("release_reason", "text"),
        ],
        jobs: "expire-stale-orders",
    },
    Port {
        name: "gyms",
        group: Gym,
        key: "id",
        is_locked: false,
        columns: &[
            some("id", "uuid"),
            some("name", "text"),
            some("slug", "text"),
            some("status", "text"),
            some("timezone", "text"),
            some("locale", "text"),
            maybe("opening_hours", "jsonb"),
            some("created_at", WHEN),
        ],
        jobs: "health-check-kiosks, daily-churn-analysis, weekly-reports",
    },
    Port {
        name: "members",
        group: Gym,
        key: "id",
        is_locked: true,
        columns: &[
            some("id", "uuid"),
            some("gym_id", "uuid"),
            maybe("badge_id", "text"),
            maybe("first_name", "text"),
            maybe("last_name", "text"),
            maybe("email", "text"),
            some("status", "text"),
            some("joined_on", "date"),
            maybe("membership_ends_on", "date"),
            maybe("cancelled_at", WHEN),
            maybe("frozen_until", "date"),
            maybe("last_contact_at", WHEN),
            some("churn_opt_out", "boolean"),
            maybe("anonymised_at", WHEN),
            some("created_at", WHEN),
        ],
        jobs: "daily-churn-analysis, weekly-reports, cleanup-old-data",
    },
    Port {
        name: "visits",
        group: Gym,
        key: "id",
        is_locked: true,
        columns: &[
            some("id", "bigint"),
            some("gym_id", "uuid"),
            some("member_id", "uuid"),
            some("checked_in_at", WHEN),
        ],
        jobs: "daily-churn-analysis, weekly-reports, cleanup-old-data",
    },
    Port {
        name: "conversation_sessions",
        group: Gym,
        key: "id",
        is_locked: true,
        columns: &[
            some("id", "uuid"),
            some("gym_id", "uuid"),
            maybe("kiosk_id", "uuid"),
            maybe("member_id", "uuid"),
            some("started_at", WHEN),
            maybe("ended_at", WHEN),
            maybe("sentiment", "text"),
            maybe("sentiment_score", "real"),
            some("topics", "text[]"),
            some("metadata", "jsonb"),
            maybe("redacted_at", WHEN),
        ],
        jobs: "daily-churn-analysis, weekly-reports, cleanup-old-data",
    },
    Port {
        name: "conversation_events",
        group: Gym,
        key: "id",
        is_locked: true,
        columns: &[
            some("id", "bigint"),
            some("session_id", "uuid"),
            maybe("transcript", "text"),
            some("payload", "jsonb"),
            some("occurred_at", WHEN),
        ],
        jobs: "cleanup-old-data",
    },
    Port {
        name: "kiosks",
        group: Gym,
        key: "id",
        is_locked: true,
        columns: &[
            some("id", "uuid"),
            some("gym_id", "uuid"),
            some("slug", "text"),
            some("name", "text"),
            some("status", "text"),
            maybe("last_heartbeat_at", WHEN),
            some("status_since", WHEN),
            some("heartbeat_interval_seconds", "integer"),
            maybe("maintenance_until", WHEN),
            some("created_at", WHEN),
            some("updated_at", WHEN),
            maybe("uptime", "real"),
        ],
        jobs: "health-check-kiosks, weekly-reports, cleanup-old-data",
    },
    Port {
        name: "kiosk_heartbeats",
        group: Gym,
        key: "id",
        is_locked: true,
        columns: &[
            some("id", "bigint"),
            some("kiosk_id", "uuid"),
            some("received_at", WHEN),
            maybe("sent_at", WHEN),
        ],
        jobs: "health-check-kiosks, weekly-reports, cleanup-old-data",
    },
    Port {
        name: "report_recipients",
        group: Gym,
        key: "email",
        is_locked: false,
        columns: &[
            some("gym_id", "uuid"),
            some("email", "text"),
            some("locale", "text"),
        ],
        jobs: "weekly-reports, cleanup-old-data",
    },
    Port {
        name: "system_logs",
        group: Gym,
        key: "id",
        is_locked: true,
        columns: &[
            some("id", "bigint"),
            some("timestamp", WHEN),
            some("log_type", "text"),
            some("level", "text"),
            some("message", "text"),
            some("details", "jsonb"),
            maybe("run_id", "uuid"),
        ],
        jobs: "every run, cleanup-old-data",
    },
];
