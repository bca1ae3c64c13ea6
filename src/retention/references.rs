//! References to members in other tables, and how they are erased.
//!
//! Rows that figures are made of stay, without the person. A document that
//! names a member is emptied, because it may say more than it was found by: it
//! names them by their id, however that is written and wherever it stands, or
//! by their address, their badge or both their names. Every statement finds
//! its rows by an index, or in a table that stays small.

use chrono::{DateTime, Utc};
use sqlx::Result;
use uuid::Uuid;

use super::rules;
use crate::database::{Transaction, Unprepared};

/// Events of conversations that one batch may redact.
const MOST_EVENTS: i64 = 5_000;

/// Whether everything that the members said is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redaction {
    Complete,
    Partial,
}

/// The members that are anonymised, and how they are named.
pub(super) struct Gone<'a> {
    ids: &'a [Uuid],
    /// A `tsquery`; `None` when they are named by their ids only.
    words: Option<String>,
    now: DateTime<Utc>,
}

impl<'a> Gone<'a> {
    /// Reads how they are named, while it is known.
    pub(super) async fn read(
        db: Unprepared<'_>,
        ids: &'a [Uuid],
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let words = sqlx::query_scalar!(
            "select string_agg(words_of(first_name, last_name, email, badge_id)::text, ' | ')
               from members
              where id = any($1)",
            ids,
        )
        .fetch_one(db)
        .await?;
        Ok(Self { ids, words, now })
    }
}

/// Redacts what members said and what names them in conversations, as far as
/// one batch may go.
pub(super) async fn redact_transcripts(db: Unprepared<'_>, gone: &Gone<'_>) -> Result<Redaction> {
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
                limit $3)
              union all
              (select e.id
                 from conversation_events e
                where uuids_in(coalesce(e.transcript, '') || ' ' || e.payload::text) && $1
                   or words_in(coalesce(e.transcript, '') || ' ' || e.payload::text) @@ $2::text::tsquery
                limit $3)
          )",
        gone.ids,
        gone.words,
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
pub(super) async fn erase(db: &mut Transaction, gone: &Gone<'_>) -> Result<()> {
    rules::carry_out(db, gone.ids).await?;
    sessions(Unprepared(db), gone).await?;
    alerts(Unprepared(db), gone).await?;
    scores(Unprepared(db), gone).await?;
    freezes(Unprepared(db), gone).await?;
    reports(Unprepared(db), gone).await?;
    logs(Unprepared(db), gone).await?;
    audit_events(Unprepared(db), gone).await?;
    runs(Unprepared(db), gone).await?;
    pauses(Unprepared(db), gone).await?;
    delivery_failures(Unprepared(db), gone).await?;
    report_deliveries(Unprepared(db), gone).await?;
    ended_holds(Unprepared(db), gone).await
}

/// Declares statements about the members that are gone.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident($($part:ident),+) $sql:literal)+) => {$(
        $(#[$doc])*
        async fn $name(db: Unprepared<'_>, gone: &Gone<'_>) -> Result<()> {
            sqlx::query!($sql, $(gone.$part),+).execute(db).await.map(drop)
        }
    )+};
}

statements! {
    /// What was talked about stays, for the reports, without what names one.
    sessions(ids, words, now)
        "update conversation_sessions
            set metadata = '{}',
                topics = array(
                    select topic
                      from unnest(topics) with ordinality as listed (topic, position)
                     where (uuids_in(topic) && $1 or words_in(topic) @@ $2::text::tsquery) is not true
                     order by position
                ),
                redacted_at = coalesce(redacted_at, $3),
                member_id = case when member_id = any($1) then null else member_id end
          where id in (
              select s.id
                from conversation_sessions s
               where s.member_id = any($1)
              union all
              select s.id
                from conversation_sessions s
               where uuids_in(s.metadata::text) && $1
                  or words_in(s.metadata::text) @@ $2::text::tsquery
          )"

    /// An alert about the member is resolved, since there is no member left to
    /// call; one about something else that names them goes on, without the name.
    alerts(ids, words, now)
        "update alerts a
            set title = 'About a member who was anonymised',
                details = '{}',
                recommended_actions = '[]',
                dedup_key = case when found.own then 'anonymised:' || a.id else a.dedup_key end,
                member_id = case when found.own then null else a.member_id end,
                resolved_at = case when found.open then $3 else a.resolved_at end,
                resolved_by = case when found.open then 'system' else a.resolved_by end,
                status = case when found.open then 'resolved' else a.status end
           from (
               select id, true as own, status in ('open', 'acknowledged') as open
                 from alerts
                where member_id = any($1)
               union all
               select n.id, false, false
                 from alerts n
                where (uuids_in(n.title || ' ' || n.details::text || ' ' || n.recommended_actions::text) && $1
                       or words_in(n.title || ' ' || n.details::text || ' ' || n.recommended_actions::text)
                          @@ $2::text::tsquery)
                  and (n.member_id is null or n.member_id <> all($1))
           ) found
          where found.id = a.id"

    /// The score of today; those of the past stay, for measuring the model.
    scores(ids)
        "delete from member_churn where member_id = any($1)"

    /// When they were away, which may say that they were ill.
    freezes(ids)
        "delete from member_freezes where member_id = any($1)"

    /// A report keeps how many members were at risk, and how much; what it says
    /// is emptied where it names one.
    reports(ids, words)
        r#"
        update weekly_reports w
           set metrics = case
                   when jsonb_typeof(w.metrics -> 'at_risk') = 'array' then jsonb_set(w.metrics, '{at_risk}', (
                       select coalesce(jsonb_agg(
                                  case
                                      when uuids_in(entry::text) && $1
                                          or words_in(entry::text) @@ $2::text::tsquery
                                      then jsonb_build_object('member_id', null,
                                                              'score', entry -> 'score',
                                                              'level', entry -> 'level')
                                      else entry
                                  end
                                  order by position), '[]')
                         from jsonb_array_elements(w.metrics -> 'at_risk')
                              with ordinality as listed (entry, position)
                   ))
                   else w.metrics
               end,
               insights = case
                   when uuids_in(w.insights::text) && $1 or words_in(w.insights::text) @@ $2::text::tsquery
                   then '[]'
                   else w.insights
               end,
               recommendations = case
                   when uuids_in(w.recommendations::text) && $1
                       or words_in(w.recommendations::text) @@ $2::text::tsquery
                   then '[]'
                   else w.recommendations
               end
         where uuids_in(coalesce((metrics -> 'at_risk')::text, '') || ' ' || insights::text || ' ' || recommendations::text) && $1
            or words_in(coalesce((metrics -> 'at_risk')::text, '') || ' ' || insights::text || ' ' || recommendations::text)
               @@ $2::text::tsquery
        "#

    logs(ids, words)
        "update system_logs
            set message = 'about a member who was anonymised',
                details = '{}'
          where uuids_in(message || ' ' || details::text) && $1
             or words_in(message || ' ' || details::text) @@ $2::text::tsquery"

    /// That something happened stays on record, and when, and by whom.
    audit_events(ids, words)
        "update audit_events
            set payload = '{}',
                entity_id = case
                    when uuids_in(entity_id) && $1 or words_in(entity_id) @@ $2::text::tsquery
                    then 'anonymised'
                    else entity_id
                end
          where (uuids_in(entity_id || ' ' || payload::text) && $1
                 or words_in(entity_id || ' ' || payload::text) @@ $2::text::tsquery)"

    /// What an operator wrote when they asked for a run, or who they were.
    runs(ids, words)
        "update job_runs
            set actor = null,
                reason = null,
                error = null
          where (actor is not null or reason is not null or error is not null)
            and (uuids_in(concat_ws(' ', actor, reason, error)) && $1
                 or words_in(concat_ws(' ', actor, reason, error)) @@ $2::text::tsquery)"

    pauses(ids, words)
        "update job_pauses
            set paused_by = null,
                reason = null
          where uuids_in(concat_ws(' ', paused_by, reason)) && $1
             or words_in(concat_ws(' ', paused_by, reason)) @@ $2::text::tsquery"

    delivery_failures(ids, words)
        "update delivery_failures
            set url = null,
                response = null,
                options = null
          where uuids_in(concat_ws(' ', url, response, options)) && $1
             or words_in(concat_ws(' ', url, response, options)) @@ $2::text::tsquery"

    /// Reports that the member was mailed when they were on a list; they are so
    /// old that none is mailed again.
    report_deliveries(ids, now)
        "delete from report_deliveries d
          using weekly_reports w
          where w.id = d.report_id
            and w.period_end < $2::timestamptz - interval '60 days'
            and mailbox_of(d.recipient) in (
                select mailbox_of(email) from members where id = any($1)
            )
            and not exists (
                select from report_recipients r
                 where r.gym_id = w.gym_id
                   and mailbox_of(r.email) = mailbox_of(d.recipient)
            )"

    /// The reason of a hold that has ended may say who it was about.
    ended_holds(ids, words, now)
        "delete from legal_holds
          where until <= $3
            and (subject_type = 'member' and subject_id = any($1)
                 or uuids_in(reason) && $1
                 or words_in(reason) @@ $2::text::tsquery)"
}
