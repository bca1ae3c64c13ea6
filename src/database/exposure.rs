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
    let rows = sqlx::query_file!("src/database/exposure.sql", &ours)
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
