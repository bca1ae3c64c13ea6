//! The service's own records: log lines, the runs in its ledger, and messages
//! that were never delivered.

use super::statements::target;

target! {
    /// A log line belongs to the subjects that its details name.
    SystemLogs {
        facts: { table: "system_logs", floor_days: 30, first_id: "-9223372036854775808" },
        rows: "system_logs g",
        key: ("g.\"timestamp\"", "g.id", "bigint"),
        eligible: "g.\"timestamp\" < $3",
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
        held_by: [],
        erase: "delete from job_runs r",
    }
}

target! {
    /// A message has no subject, so no hold covers it.
    DeliveryFailures {
        facts: { table: "delivery_failures", floor_days: 30 },
        rows: "delivery_failures f",
        key: ("f.received_at", "f.id", "uuid"),
        eligible: "f.received_at < $3",
        held_by: [],
        erase: "delete from delivery_failures f",
    }
}
