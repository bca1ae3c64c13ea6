//! References to members in other tables, and how they are erased.
//!
//! Rows that figures are made of stay, without the person. A document that
//! names the member is emptied, because it may say more than the key it was
//! found by. Every statement finds its rows by an index.

use chrono::{DateTime, Utc};
use sqlx::Result;
use uuid::Uuid;

use crate::database::{Transaction, Unprepared};

/// Events of conversations that one batch may redact.
const MOST_EVENTS: i64 = 5_000;

/// Whether everything that the members said is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redaction {
    Complete,
    Partial,
}

/// Redacts what members said and what names them in conversations, as far as
/// one batch may go.
pub(super) async fn redact_transcripts(db: Unprepared<'_>, gone: &[Uuid]) -> Result<Redaction> {
    let redacted = sqlx::query!(
        "update conversation_events
            set transcript = null,
                payload = '{}'
          where id in (
              (select e.id
                 from conversation_sessions s
                 join conversation_events e on e.session_id = s.id
                where s.member_id = any($1)
                  and (e.transcript is not null or e.payload <> '{}')
                limit $2)
              union all
              (select e.id
                 from unnest($1::uuid[]) as gone (id)
                 join conversation_events e on e.payload ->> 'member_id' = gone.id::text
                where e.payload ? 'member_id'
                limit $2)
          )",
        gone,
        MOST_EVENTS,
    )
    .execute(db)
    .await?;
    let most = u64::try_from(MOST_EVENTS).unwrap_or_default();
    Ok(if redacted.rows_affected() < most {
        Redaction::Complete
    } else {
        Redaction::Partial
    })
}

/// Erases everything else that names these members, except their own rows.
pub(super) async fn erase(db: &mut Transaction, gone: &[Uuid], now: DateTime<Utc>) -> Result<()> {
    sessions(Unprepared(db), gone, now).await?;
    alerts(Unprepared(db), gone, now).await?;
    scores(Unprepared(db), gone).await?;
    reports(Unprepared(db), gone).await?;
    logs(Unprepared(db), gone).await?;
    audit_events(Unprepared(db), gone).await?;
    ended_holds(Unprepared(db), gone, now).await
}

/// Declares statements about the members that are `gone`.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident(gone $(, $now:ident)?) $sql:literal)+) => {$(
        $(#[$doc])*
        async fn $name(
            db: Unprepared<'_>,
            gone: &[Uuid],
            $($now: DateTime<Utc>,)?
        ) -> Result<()> {
            sqlx::query!($sql, gone $(, $now)?).execute(db).await.map(drop)
        }
    )+};
}

statements! {
    sessions(gone, now)
        "update conversation_sessions
            set metadata = '{}',
                redacted_at = coalesce(redacted_at, $2),
                member_id = case when member_id = any($1) then null else member_id end
          where id in (
              select s.id
                from conversation_sessions s
               where s.member_id = any($1)
              union all
              select s.id
                from unnest($1::uuid[]) as gone (id)
                join conversation_sessions s on s.metadata ->> 'member_id' = gone.id::text
               where s.metadata ? 'member_id'
          )"

    /// An alert about the member is resolved, since there is no member left to
    /// call; one about something else that names them goes on, without the name.
    alerts(gone, now)
        "update alerts a
            set title = 'About a member who was anonymised',
                details = '{}',
                recommended_actions = '[]',
                dedup_key = case when found.own then 'anonymised:' || a.id else a.dedup_key end,
                member_id = case when found.own then null else a.member_id end,
                resolved_at = case when found.open then $2 else a.resolved_at end,
                resolved_by = case when found.open then 'system' else a.resolved_by end,
                status = case when found.open then 'resolved' else a.status end
           from (
               select id, true as own, status in ('open', 'acknowledged') as open
                 from alerts
                where member_id = any($1)
               union all
               select n.id, false, false
                 from unnest($1::uuid[]) as gone (id)
                 join alerts n on n.details ->> 'member_id' = gone.id::text
                where n.details ? 'member_id'
                  and (n.member_id is null or n.member_id <> all($1))
           ) found
          where found.id = a.id"

    /// The score of today; those of the past stay, for measuring the model.
    scores(gone)
        "delete from member_churn where member_id = any($1)"

    /// A report keeps how many members were at risk, and how much.
    reports(gone)
        r#"
        update weekly_reports w
           set metrics = jsonb_set(w.metrics, '{at_risk}', (
                   select jsonb_agg(
                              case
                                  when entry ->> 'member_id' = any($1::uuid[]::text[])
                                  then jsonb_build_object('member_id', null,
                                                          'score', entry -> 'score',
                                                          'level', entry -> 'level')
                                  else entry
                              end
                              order by position)
                     from jsonb_array_elements(w.metrics -> 'at_risk')
                          with ordinality as listed (entry, position)
               ))
         where w.id in (
             select n.id
               from unnest($1::uuid[]) as gone (id)
               join weekly_reports n
                 on n.metrics -> 'at_risk'
                    @> jsonb_build_array(jsonb_build_object('member_id', gone.id))
         )
        "#

    logs(gone)
        "update system_logs
            set message = 'about a member who was anonymised',
                details = '{}'
          where id in (
              select g.id
                from unnest($1::uuid[]) as gone (id)
                join system_logs g on g.details ->> 'member_id' = gone.id::text
               where g.details ? 'member_id'
          )"

    /// That something happened stays on record, and when, and by whom.
    audit_events(gone)
        "update audit_events
            set payload = '{}'
          where id in (
              select v.id
                from audit_events v
               where v.entity_type = 'member'
                 and v.entity_id = any($1::uuid[]::text[])
              union all
              select v.id
                from unnest($1::uuid[]) as gone (id)
                join audit_events v on v.payload ->> 'member_id' = gone.id::text
               where v.payload ? 'member_id'
          )"

    /// The reason of a hold that has ended may say who it was about.
    ended_holds(gone, now)
        "delete from legal_holds
          where subject_type = 'member'
            and subject_id = any($1)
            and until <= $2"
}
