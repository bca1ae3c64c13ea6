//! Members who left and were not heard of since: they are anonymised, in place.
//!
//! Their visits and scores stay for the figures; who they were goes from
//! every table and document that names them ([`super::references`]), in the
//! transaction that empties their own row. Nothing is kept that leads back.
//!
//! A member is locked first and judged after that: whoever registers a visit
//! or a conversation needs the member's row too, so none can slip in between.

use sqlx::Result;
use sqlx::postgres::PgQueryResult;
use uuid::Uuid;

use super::references::{self, Hushed};
use super::rules::{Reach, Span};
use crate::database::Unprepared;

pub(crate) async fn reach(db: Unprepared<'_>, span: &Span) -> Result<Reach> {
    sqlx::query_as!(
        Reach,
        r#"
        select count(*) as "looked!", count(*) filter (where held) as "held!",
               max(at)::text as at, (array_agg(id))[count(*)]::text as id,
               (array_agg(id) filter (where not held and $7 > 0))[1:$7]::text[] as samples
          from (
              select c.id, c.known_at as at,
                     $5::boolean and (exists (
                         select from held_members h
                          where h.id = c.id
                            and h.until > $6
                         offset 0
                     ) or exists (
                         select from held_namings n
                          where n.named = c.id::text
                            and n.until > $6
                         offset 0
                     )) as held
                from member_contacts c
               where c.status in ('cancelled', 'expired')
                 and c.known_at < $1
                 and (c.known_at, c.id) > ($2::text::timestamptz, $3::text::uuid)
                 and c.last_contact_at < $1
               order by c.known_at, c.id
               limit $4
          ) looked
        "#,
        span.cutoff,
        span.after.at,
        span.after.id,
        span.size,
        span.any_held,
        span.now,
        span.samples,
    )
    .fetch_one(db)
    .await
}

/// Anonymises the members of the span. What they said goes first, a bounded
/// number of events at a time; `None` while there is more of it.
pub(crate) async fn anonymise(db: Unprepared<'_>, span: &Span) -> Result<Option<u64>> {
    let Unprepared(db) = db;
    let locked = lock(Unprepared(db), span).await?;
    let gone = judge(Unprepared(db), span, &locked).await?;
    if references::hush(Unprepared(db), &gone).await? == Hushed::InPart {
        return Ok(None);
    }
    references::erase(db, &gone, span.now).await?;
    let emptied = empty(Unprepared(db), &gone, span).await?;
    Ok(Some(emptied.rows_affected()))
}

/// Locks the members of the span; one whom somebody else holds is passed.
async fn lock(db: Unprepared<'_>, span: &Span) -> Result<Vec<Uuid>> {
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
        span.cutoff,
        span.after.at,
        span.after.id,
        span.upto.at,
        span.upto.id,
    )
    .fetch_all(db)
    .await
}

/// Those of the locked who are past their keeping, as things stand now.
async fn judge(db: Unprepared<'_>, span: &Span, locked: &[Uuid]) -> Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select c.id as "id!"
          from member_contacts c
         where c.id = any($1)
           and c.status in ('cancelled', 'expired')
           and c.last_contact_at < $2
           and not ($3::boolean and (exists (
                   select from held_members h
                    where h.id = c.id
                      and h.until > $4
                   offset 0
               ) or exists (
                   select from held_namings n
                    where n.named = c.id::text
                      and n.until > $4
                   offset 0
               )))
         order by c.known_at, c.id
        "#,
        locked,
        span.cutoff,
        span.any_held,
        span.now,
    )
    .fetch_all(db)
    .await
}

async fn empty(db: Unprepared<'_>, gone: &[Uuid], span: &Span) -> Result<PgQueryResult> {
    sqlx::query!(
        "update members
            set first_name = null,
                last_name = null,
                email = null,
                badge_id = null,
                status = 'anonymised',
                anonymised_at = $2
          where id = any($1)
            and status in ('cancelled', 'expired')",
        gone,
        span.now,
    )
    .execute(db)
    .await
}
