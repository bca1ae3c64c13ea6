//! Conversations: their events are deleted, the metadata of a session is
//! redacted.
//!
//! The session itself stays, with its length and mood, which reports count.

use super::statements::target;

target! {
    /// Transcripts and payloads.
    ConversationEvents {
        facts: { table: "conversation_events", first_id: "-9223372036854775808" },
        rows: "conversation_events e",
        key: ("e.occurred_at", "e.id", "bigint"),
        eligible: "e.occurred_at < $3",
        ahead: "e.occurred_at > $1",
        held_by: ["held_sessions h where h.id = e.session_id"],
        erase: "delete from conversation_events e",
    }
}

target! {
    /// A session is redacted once: `redacted_at` says so, whatever is in it. One
    /// that broke off without an end, or whose end has not come, counts from its
    /// last sign of life: its begin, or what was said last.
    ConversationSessions {
        facts: { table: "conversation_sessions", action: "redact", judges_ahead: true },
        rows: "conversation_sessions s",
        key: ("coalesce(s.ended_at, s.started_at)", "s.id", "uuid"),
        eligible: "s.redacted_at is null
           and (coalesce(s.ended_at, s.started_at) < $3
                or is_ahead(coalesce(s.ended_at, s.started_at)))
           and coalesce(unless_ahead(s.ended_at), unless_ahead(s.started_at)) < $3
           and (unless_ahead(s.ended_at) is not null
                or not exists (
                    select from conversation_events e
                     where e.session_id = s.id
                       and e.occurred_at >= $3
                       and not is_ahead(e.occurred_at)
                ))",
        ahead: "s.redacted_at is null
           and coalesce(s.ended_at, s.started_at) > $1
           and coalesce(unless_ahead(s.ended_at), unless_ahead(s.started_at)) is null",
        held_by: ["held_sessions h where h.id = s.id"],
        erase: "
        update conversation_sessions s
           set metadata = '{}',
               redacted_at = $2",
    }
}
