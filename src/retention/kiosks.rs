//! Heartbeats of kiosks, and alerts that are over.

use super::statements::target;

target! {
    /// A hold may name the kiosk's gym.
    KioskHeartbeats {
        facts: { table: "kiosk_heartbeats", first_id: "-9223372036854775808" },
        rows: "kiosk_heartbeats b",
        key: ("b.received_at", "b.id", "bigint"),
        eligible: "b.received_at < $3",
        ahead: "b.received_at > $1",
        held_by: [
            "legal_holds h
                         where h.subject_id = (select k.gym_id from kiosks k where k.id = b.kiosk_id)"
        ],
        erase: deleted by_key,
    }
}

target! {
    /// Dated by its end, or by what it last was where that has not come. A hold
    /// may name the alert's gym or member, or the gym of its member or kiosk.
    Alerts {
        facts: { table: "alerts", judges_ahead: true },
        rows: "alerts a",
        key: ("coalesce(a.resolved_at, a.last_seen_at)", "a.id", "uuid"),
        eligible: "a.status in ('resolved', 'dismissed')
           and (coalesce(a.resolved_at, a.last_seen_at) < $3
                or is_ahead(coalesce(a.resolved_at, a.last_seen_at)))
           and coalesce(unless_ahead(a.resolved_at), unless_ahead(a.last_seen_at), unless_ahead(a.opened_at))
               < $3",
        ahead: "a.status in ('resolved', 'dismissed')
           and coalesce(a.resolved_at, a.last_seen_at) > $1
           and coalesce(unless_ahead(a.resolved_at), unless_ahead(a.last_seen_at), unless_ahead(a.opened_at))
               is null",
        held_by: [
            "legal_holds h
                         where h.subject_id in (
                               a.gym_id,
                               a.member_id,
                               (select m.gym_id from members m where m.id = a.member_id),
                               (select k.gym_id from kiosks k where k.id = a.kiosk_id))"
        ],
        erase: "delete from alerts a",
    }
}
