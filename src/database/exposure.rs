//! Which other roles could read or write our tables. Reads only.
//!
//! Left out are roles that may do so anyway: superusers, those that own the
//! tables, those that may write every table; tables with row level security,
//! unless it shows every row; and in what a role may do, what `PUBLIC` may.

use std::collections::BTreeMap;

use sqlx::Result;

use super::names::Names;
use super::readiness::RECORD;
use super::{MIGRATOR, Unprepared};

/// Tables that the shop and the gyms fill: that other roles write to them is
/// what they are for.
const FILLED_BY_OTHERS: [&str; 15] = [
    "conversation_events",
    "conversation_sessions",
    "gyms",
    "kiosk_heartbeats",
    "kiosks",
    "legal_holds",
    "members",
    "order_items",
    "orders",
    "payment_intents",
    "report_recipients",
    "stock_levels",
    "stock_reservations",
    "system_logs",
    "visits",
];

/// Roles that whoever has a public key may take on, by the custom of `PostgREST`.
const OPEN_TO_ALL: [&str; 4] = ["PUBLIC", "anon", "authenticated", "web_anon"];

/// What another role may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exposed {
    /// The role, with quotes where it needs them, or `PUBLIC`.
    pub role: String,
    /// Tables and views that it can read.
    pub reads: Vec<String>,
    /// Tables and views that it can write.
    pub writes: Vec<String>,
}

impl Exposed {
    /// Whether it must not be: anyone could, or the jobs would do as it says.
    #[must_use]
    pub fn is_harmful(&self) -> bool {
        let is_filled = |table: &String| FILLED_BY_OTHERS.contains(&table.as_str());
        OPEN_TO_ALL.contains(&self.role.as_str()) || !self.writes.iter().all(is_filled)
    }
}

/// Asks the database, as the role of the service.
pub(super) async fn exposed(db: Unprepared<'_>) -> Result<Vec<Exposed>> {
    let ours = Names::created_by(MIGRATOR.iter()).relations;
    let ours: Vec<String> = ours
        .into_iter()
        .chain([RECORD])
        .map(str::to_owned)
        .collect();
    let rows = sqlx::query!(
        r#"
        select role as "role!",
               relname::text as "table!",
               reads as "reads!",
               writes as "writes!"
          from pg_class c
         cross join (
             select 'PUBLIC' as role, 0::oid as id
             union all
             select quote_ident(r.rolname), r.oid
               from pg_roles r
              where not r.rolsuper
                and r.rolname <> current_user
                and r.rolname !~ '^pg_'
                and not exists (
                    select from pg_roles writers
                     where writers.rolname = 'pg_write_all_data'
                       and pg_has_role(r.oid, writers.oid, 'member')
                )
         ) as others
         cross join lateral (
             select bool_or(id = grantee and may_read) and not bool_or(id <> grantee and may_read) as reads,
                    bool_or(id = grantee and may_write) and not bool_or(id <> grantee and may_write) as writes
               from unnest(array[id, 0::oid]) as grantee
              cross join lateral (
                  select has_any_column_privilege(grantee, c.oid, 'select') as may_read,
                         has_any_column_privilege(grantee, c.oid, 'insert, update, references')
                             or has_table_privilege(grantee, c.oid, 'delete, truncate, trigger') as may_write
              ) as may
              where has_schema_privilege(grantee, c.relnamespace, 'usage')
                and (
                    not c.relrowsecurity
                    or exists (
                        select from pg_policy p
                         where p.polrelid = c.oid
                           and p.polpermissive
                           and pg_get_expr(coalesce(p.polqual, p.polwithcheck), c.oid) = 'true'
                           and exists (
                               select from unnest(p.polroles) as role
                                where role = 0
                                   or grantee <> 0 and pg_has_role(grantee, role, 'usage')
                           )
                    )
                )
         ) as can
         where c.relnamespace = current_schema()::regnamespace
           and c.relname = any ($1)
           and c.relkind in ('r', 'p', 'v')
           -- Most may do nothing, and are passed at once.
           and (
               has_any_column_privilege(id, c.oid, 'select, insert, update, references')
               or has_table_privilege(id, c.oid, 'delete, truncate, trigger')
           )
           and (id = 0 or not pg_has_role(id, c.relowner, 'member'))
           and (reads or writes)
         order by role, relname
        "#,
        &ours
    )
    .fetch_all(db)
    .await?;
    let mut found = BTreeMap::<String, Exposed>::new();
    for row in rows {
        let exposed = found.entry(row.role.clone()).or_insert_with(|| Exposed {
            role: row.role,
            ..Exposed::default()
        });
        if row.reads {
            exposed.reads.push(row.table.clone());
        }
        if row.writes {
            exposed.writes.push(row.table);
        }
    }
    Ok(found.into_values().collect())
}
