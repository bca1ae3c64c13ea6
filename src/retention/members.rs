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

use super::references::{self, Gone, Redaction};
use super::statements::target;
use super::target::{Erased, KeyRange};
use crate::database::{Transaction, Unprepared};

target! {
    /// Members who are neither active nor frozen. A hold covers them also
    /// where it covers what belongs to them, or a document that names them. A
    /// membership that runs keeps its member. A moment of the past that has not
    /// come says nothing of the last contact: it keeps a member only where
    /// nothing else is known.
    Members {
        facts: { table: "members", action: "anonymise", batch_size: 200, erases_each: false, judges_ahead: true },
        rows: "member_contacts c",
        key: ("c.known_at", "c.id", "uuid"),
        eligible: "c.status in ('cancelled', 'expired')
           and (c.known_at < $3 or is_ahead(c.known_at))
           and c.last_contact_at < $3",
        ahead: "c.status in ('cancelled', 'expired')
           and c.last_contact_at is null",
        held_by: [
            "held_members h where h.id = c.id",
            "held_documents h where h.ids @> array[c.id]",
            "held_documents h
                         where h.words @@ (
                             select words_of(m.first_name, m.last_name, m.email, m.badge_id)
                               from members m
                              where m.id = c.id)"
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
                   and (c.known_at < $1 or is_ahead(c.known_at))
                   and (c.known_at, c.id) > ($2::timestamptz, $3::text::uuid)
                   and (c.known_at, c.id) <= ($4::timestamptz, $5::text::uuid)
                   and c.last_contact_at < $1
            )
            for update skip locked",
        range.cutoff,
        range.after.at as _,
        range.after.id,
        range.upto.at as _,
        range.upto.id,
    )
    .fetch_all(db)
    .await
}

/// Transcripts are redacted first, a bounded number of events at a time;
/// `None` while there are more of them.
async fn anonymise(db: &mut Transaction, range: &KeyRange, ids: &[Uuid]) -> Result<Option<Erased>> {
    let ahead = count_with_moment_ahead(Unprepared(db), ids).await?;
    let gone = Gone::read(Unprepared(db), ids, range.now).await?;
    if references::redact_transcripts(Unprepared(db), &gone).await? == Redaction::Partial {
        return Ok(None);
    }
    references::erase(db, &gone).await?;
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
    Ok(Some(Erased {
        ahead,
        ..Erased::all(emptied.rows_affected())
    }))
}

async fn count_with_moment_ahead(db: Unprepared<'_>, ids: &[Uuid]) -> Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!"
           from member_contacts
          where id = any($1)
            and has_moment_ahead"#,
        ids,
    )
    .fetch_one(db)
    .await
}

/// How many of those who left have a moment that has not come, which says
/// nothing of their last contact.
///
/// # Errors
/// When the database cannot be read in time.
pub async fn with_moment_ahead(db: Unprepared<'_>) -> Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!"
           from member_contacts
          where status in ('cancelled', 'expired')
            and (has_moment_ahead or last_contact_at is null)"#,
    )
    .fetch_one(db)
    .await
}
