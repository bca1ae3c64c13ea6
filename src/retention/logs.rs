//! The service's own records: log lines, the runs in its ledger, messages that
//! were never delivered, and the audit trail.

use super::statements::target;

target! {
    /// A log line belongs to the subjects that its details name.
    SystemLogs {
        facts: { table: "system_logs", floor_days: 30, first_id: "-9223372036854775808" },
        rows: "system_logs g",
        key: ("g.\"timestamp\"", "g.id", "bigint"),
        eligible: "g.\"timestamp\" < $3",
        ahead: "g.\"timestamp\" > $1",
        held_by: [
            "legal_holds h
                         where h.subject_id in (
                               uuid_or_null(g.details ->> 'gym_id'),
                               uuid_or_null(g.details ->> 'member_id'),
                               (select m.gym_id from members m
                                 where m.id = uuid_or_null(g.details ->> 'member_id')),
                               (select k.gym_id from kiosks k
                                 where k.id = uuid_or_null(g.details ->> 'kiosk_id')))"
        ],
        erase: "delete from system_logs g",
    }
}

target! {
    /// A run has no subject, so no hold covers it. A run in progress is never
    /// deleted, and the one that erases is in progress.
    JobRuns {
        facts: { table: "job_runs", floor_days: 30 },
        rows: "job_runs r",
        key: ("r.started_at", "r.id", "uuid"),
        eligible: "r.status <> 'running' and r.started_at < $3",
        ahead: "r.status <> 'running' and r.started_at > $1",
        held_by: [],
        erase: deleted by_key,
    }
}

target! {
    /// A message has no subject, so no hold covers it.
    DeliveryFailures {
        facts: { table: "delivery_failures", floor_days: 30 },
        rows: "delivery_failures f",
        key: ("f.received_at", "f.id", "uuid"),
        eligible: "f.received_at < $3",
        ahead: "f.received_at > $1",
        held_by: [],
        erase: "delete from delivery_failures f",
    }
}

target! {
    /// Evidence of what was done to orders, payments and policies. A hold on any
    /// subject that an event names, or on a member's gym, covers it. What is said
    /// once of an order stays while the order might be looked at again.
    AuditEvents {
        facts: { table: "audit_events", floor_days: 365 },
        rows: "audit_events v",
        key: ("v.occurred_at", "v.id", "uuid"),
        eligible: "v.occurred_at < $3
           and (v.event_type <> 'local.order.paid_at_expiry'
                or not exists (
                    select from orders o
                     where o.id = uuid_or_null(v.entity_id)
                       and o.status in ('PENDING', 'REQUIRES_PAYMENT')
                ))",
        ahead: "v.occurred_at > $1",
        held_by: [
            "legal_holds h
                         where (h.subject_id = any (uuids_in(v.entity_id || ' ' || v.payload::text))
                                or h.subject_id in (
                                    select m.gym_id
                                      from members m
                                     where m.id = any (uuids_in(v.entity_id || ' ' || v.payload::text))))"
        ],
        erase: "delete from audit_events v",
    }
}
