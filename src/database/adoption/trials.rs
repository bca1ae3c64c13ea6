//! What our statements write to the ports, as something that can be tried on
//! one row.

use super::contract::Port;

/// A write that is tried on one row, and undone.
pub(super) struct Trial {
    pub(super) port: &'static str,
    /// For people: what is written.
    pub(super) name: &'static str,
    /// The rows that are written so; it is tried on one of them.
    pub(super) on: &'static str,
    pub(super) does: Does,
}

/// Columns are given with what is written into them.
pub(super) enum Does {
    /// The first columns read as they were written after that; the others may go where the
    /// host likes.
    Set(
        &'static [(&'static str, &'static str)],
        &'static [(&'static str, &'static str)],
    ),
    /// The row is gone after that.
    Delete,
    /// The row is found after that, by the first columns.
    Insert(
        &'static [(&'static str, &'static str)],
        &'static [(&'static str, &'static str)],
    ),
}

/// A moment that every way to write moments down can keep.
const AT: &str = "date_trunc('second', now())";

const ANY: &str = "true";

/// What is written to that port.
pub(super) fn of(port: &Port) -> impl Iterator<Item = &'static Trial> {
    let name = port.name;
    TRIALS.iter().filter(move |trial| trial.port == name)
}

const fn set(
    port: &'static str,
    name: &'static str,
    on: &'static str,
    kept: &'static [(&'static str, &'static str)],
    told: &'static [(&'static str, &'static str)],
) -> Trial {
    let does = Does::Set(kept, told);
    Trial {
        port,
        name,
        on,
        does,
    }
}

const fn delete(port: &'static str) -> Trial {
    Trial {
        port,
        name: "deleted",
        on: ANY,
        does: Does::Delete,
    }
}

const OPEN_INTENT: &str = "status not in ('succeeded', 'canceled')";
const CHECKED: &str = "status in ('online', 'degraded', 'offline')";
const GONE: &str = "status in ('cancelled', 'expired')";

static TRIALS: [Trial; 22] = [
    set(
        "orders",
        "`status` to EXPIRED, `expired_at`, `updated_at`",
        "status in ('PENDING', 'REQUIRES_PAYMENT')",
        &[("status", "'EXPIRED'")],
        &[("expired_at", AT), ("updated_at", AT)],
    ),
    set(
        "payment_intents",
        "`status` to canceled, `synced_status`, `last_synced_at`, `cancel_attempts`, `cancellation_reason`, `canceled_at`, `last_error`, `updated_at`",
        OPEN_INTENT,
        &[
            ("status", "'canceled'"),
            ("synced_status", "'canceled'"),
            ("last_synced_at", AT),
            ("cancel_attempts", "7"),
            ("updated_at", AT),
        ],
        &[
            ("cancellation_reason", "'abandoned'"),
            ("canceled_at", AT),
            ("last_error", "null"),
        ],
    ),
    set(
        "payment_intents",
        "to succeeded",
        OPEN_INTENT,
        &[("status", "'succeeded'"), ("synced_status", "'succeeded'")],
        &[("last_synced_at", AT), ("updated_at", AT)],
    ),
    set(
        "payment_intents",
        "to missing",
        OPEN_INTENT,
        &[("status", "'missing'"), ("synced_status", "'missing'")],
        &[("last_synced_at", AT), ("updated_at", AT)],
    ),
    set(
        "payment_intents",
        "to the other words of Stripe",
        OPEN_INTENT,
        &[
            ("status", "'requires_capture'"),
            ("synced_status", "'requires_capture'"),
        ],
        &[("last_synced_at", AT), ("updated_at", AT)],
    ),
    set(
        "stock_levels",
        "`reserved` (its difference counts)",
        ANY,
        &[],
        &[("reserved", "reserved - 1")],
    ),
    set(
        "stock_reservations",
        "`status` to RELEASED, once; `released_at`, `release_reason`",
        "status = 'ACTIVE'",
        &[("status", "'RELEASED'")],
        &[("released_at", AT), ("release_reason", "'order_expired'")],
    ),
    set(
        "members",
        "anonymised: `first_name`, `last_name`, `email`, `badge_id`, `status`, `anonymised_at`",
        GONE,
        &[
            ("first_name", "null"),
            ("last_name", "null"),
            ("email", "null"),
            ("badge_id", "null"),
            ("status", "'anonymised'"),
        ],
        &[("anonymised_at", AT)],
    ),
    set(
        "members",
        "`last_contact_at`",
        ANY,
        &[("last_contact_at", AT)],
        &[],
    ),
    delete("visits"),
    set(
        "conversation_sessions",
        "`metadata`, `redacted_at`",
        ANY,
        &[("metadata", "'{}'"), ("redacted_at", AT)],
        &[],
    ),
    set(
        "conversation_sessions",
        "`member_id` to null",
        ANY,
        &[("member_id", "null")],
        &[],
    ),
    set(
        "conversation_events",
        "`transcript`, `payload`",
        ANY,
        &[("transcript", "null"), ("payload", "'{}'")],
        &[],
    ),
    delete("conversation_events"),
    set(
        "kiosks",
        "`status` to offline, `status_since`, `updated_at`",
        CHECKED,
        &[("status", "'offline'"), ("status_since", AT)],
        &[("updated_at", AT)],
    ),
    set(
        "kiosks",
        "to degraded",
        CHECKED,
        &[("status", "'degraded'"), ("status_since", AT)],
        &[("updated_at", AT)],
    ),
    set(
        "kiosks",
        "to online",
        CHECKED,
        &[("status", "'online'"), ("status_since", AT)],
        &[("updated_at", AT)],
    ),
    set("kiosks", "`uptime`", ANY, &[("uptime", "0.5::real")], &[]),
    delete("kiosk_heartbeats"),
    Trial {
        port: "system_logs",
        name: "inserted",
        on: ANY,
        does: Does::Insert(
            &[
                ("timestamp", AT),
                ("log_type", "'cron_adoption'"),
                ("level", "'info'"),
                ("message", "'A row that is undone'"),
                ("run_id", "'0a0a0a0a-0a0a-4a0a-8a0a-0a0a0a0a0a0a'::uuid"),
            ],
            &[("details", "'{\"is\": \"tried\"}'")],
        ),
    },
    set(
        "system_logs",
        "`message`, `details`",
        ANY,
        &[
            ("message", "'about a member who was anonymised'"),
            ("details", "'{}'"),
        ],
        &[],
    ),
    delete("system_logs"),
];
