//! What anonymising knows of a member, and what it does not: whatever else is in
//! the catalog.
//!
//! Reads only.

use sqlx::Result;

use crate::database::Unprepared;

/// What our tables that a person's data may be added to have of their own.
pub(super) const KNOWN: [(&str, &str); 3] = [
    (
        "members",
        "id gym_id badge_id first_name last_name email status joined_on membership_type \
         contract_months membership_ends_on cancelled_at frozen_until last_contact_at \
         churn_opt_out anonymised_at created_at",
    ),
    (
        "visits",
        "id gym_id member_id checked_in_at checked_out_at source",
    ),
    (
        "conversation_sessions",
        "id gym_id kiosk_id member_id state started_at ended_at turn_count duration_seconds \
         sentiment sentiment_score topics metadata redacted_at",
    ),
];

/// Our columns that refer to members; [`crate::retention::references`] erases them.
pub(super) const REFERRING: [&str; 4] = [
    "alerts.member_id",
    "conversation_sessions.member_id",
    "member_churn.member_id",
    "visits.member_id",
];

/// Columns that were added to our tables (those of a host's view are the
/// file's business), and foreign keys to members that are
/// not ours, without a rule.
pub(super) async fn unknown(db: Unprepared<'_>) -> Result<Vec<String>> {
    let (tables, columns): (Vec<_>, Vec<_>) = KNOWN.iter().copied().unzip();
    sqlx::query_scalar!(
        r#"
        select name as "name!"
          from (
              select n.nspname as schema_name, c.relname as table_name, a.attname as column_name,
                     c.relname || '.' || a.attname as name
                from unnest($1::text[], $2::text[]) as known (name, columns)
                join pg_class c
                  on c.oid = to_regclass(known.name)
                 and c.relkind = 'r'
                join pg_namespace n on n.oid = c.relnamespace
                join pg_attribute a
                  on a.attrelid = c.oid
                 and a.attnum > 0
                 and not a.attisdropped
                 and a.attname <> all (string_to_array(known.columns, ' '))
              union all
              select n.nspname, c.relname, a.attname,
                     n.nspname || '.' || c.relname || '.' || a.attname || ' (refers to members)'
                from pg_constraint f
                join pg_class c on c.oid = f.conrelid
                join pg_namespace n on n.oid = c.relnamespace
                join pg_attribute a
                  on a.attrelid = c.oid
                 and a.attnum = any (f.conkey)
               where f.contype = 'f'
                 and f.conparentid = 0
                 and f.confrelid = to_regclass('members')
                 and (c.relname || '.' || a.attname <> all ($3)
                      or n.oid <> (select m.relnamespace from pg_class m where m.oid = to_regclass('members')))
                 -- Named once, where it is a column of a table above.
                 and c.oid <> all (
                     array(
                         select to_regclass(known.name)::oid
                           from unnest($1::text[]) as known (name)
                          where to_regclass(known.name) is not null
                     )
                 )
          ) as found
         where not exists (
             select from erasure_rules r
              where r.schema_name = found.schema_name
                and r.table_name = found.table_name
                and found.column_name in (r.column_name, r.key_name)
         )
         order by name
        "#,
        &tables as &[&str],
        &columns as &[&str],
        &REFERRING as &[&str],
    )
    .fetch_all(db)
    .await
}
