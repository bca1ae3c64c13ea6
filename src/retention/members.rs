//! Members who left and had no contact since: they are anonymised, in place.
//!
//! Their visits and scores stay for the figures; who they were goes from
//! every table and document that names them ([`super::references`]), in the
//! transaction that empties their own row. Nothing is kept that leads back.
//!
//! A member is locked first and judged after that: a visit or a conversation
//! that is registered needs the member's row too, so none can slip in between.

use sqlx::Result;
use uuid::Uuid;

use super::references::{self, Redaction};
use super::statements::target;
use super::target::KeyRange;
use crate::database::{Transaction, Unprepared};

target! {
    /// Members who are neither active nor frozen. A hold covers them also
    /// where it covers what belongs to them, or a document that names them.
    Members {
        facts: { table: "members", action: "anonymise", batch_size: 200 },
        rows: "member_contacts c",
        key: ("c.known_at", "c.id", "uuid"),
        eligible: "c.status in ('cancelled', 'expired')
           and c.known_at < $3
           and c.last_contact_at < $3",
        held_by: [
            "held_members h where h.id = c.id",
            "held_namings h where h.named = c.id::text"
        ],
        erase: chosen { lock: lock, erase: anonymise },
    }
}

/// Locks the members of the range; one whose row is locked is passed.
async fn lock(db: Unprepared<'_>, range: &KeyRange) -> Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select m.id
           from members m
          where m.status in ('cancelled', 'expired')
            and m.id in (
                select c.id
                  from member_contacts c
                 where c.status in ('cancelled', 'expired')
                   and c.known_at < $1
                   and (c.known_at, c.id) > ($2::text::timestamptz, $3::text::uuid)
                   and (c.known_at, c.id) <= ($4::text::timestamptz, $5::text::uuid)
                   and c.last_contact_at < $1
            )
            for update skip locked",
        range.cutoff,
        range.after.at,
        range.after.id,
        range.upto.at,
        range.upto.id,
    )
    .fetch_all(db)
    .await
}

/// Transcripts are redacted first, a bounded number of events at a time;
/// `None` while there are more of them.
async fn anonymise(db: &mut Transaction, range: &KeyRange, ids: &[Uuid]) -> Result<Option<u64>> {
    if references::redact_transcripts(Unprepared(db), ids).await? == Redaction::Partial {
        return Ok(None);
    }
    references::erase(db, ids, range.now).await?;
    let emptied = sqlx::query!(
        "update members
            set first_name = null,
                last_name = null,
                email = null,
                badge_id = null,
                status = 'anonymised',
                anonymised_at = $2
          where id = any($1)
            and status in ('cancelled', 'expired')",
        ids,
        range.now,
    )
    .execute(Unprepared(db))
    .await?;
    Ok(Some(emptied.rows_affected()))
}
