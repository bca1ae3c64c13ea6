//! Where rows and the server disagree: clocks that were set back, and
//! identities that are behind their tables. For `doctor`; reads only.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Result};

use super::{Patience, Transaction, Unprepared, begin_alone};

/// What disagrees.
#[derive(Debug, Clone, Default)]
pub struct Drift {
    /// Jobs with a lease that ends further ahead than it is long.
    pub jobs_ahead: Vec<String>,
    /// Runs that begin in the future.
    pub runs_ahead: i64,
    /// Tables whose identity would give a number that is taken, as
    /// `table.column`, and the statement that moves it on.
    pub identities_behind: Vec<(String, String)>,
}

/// Asks the database.
///
/// # Errors
/// What it, or the way to it, answered instead.
pub async fn drift(options: PgConnectOptions, patience: Patience) -> Result<Drift> {
    let mut tx = begin_alone(options, patience).await?;
    let clock = sqlx::query!(
        r#"
        select array(
                   select distinct job
                     from job_leases
                    where run_id is not null
                      and lease_is_ahead(expires_at, ttl_seconds)
                    order by job
               ) as "jobs!",
               (select count(*)
                  from job_runs
                 where started_at > clock_timestamp() + interval '1 second') as "runs!"
        "#
    )
    .fetch_one(Unprepared(&mut tx))
    .await?;
    Ok(Drift {
        jobs_ahead: clock.jobs,
        runs_ahead: clock.runs,
        identities_behind: identities_behind(&mut tx).await?,
    })
}

/// A restore or a logical copy brings rows along, and not the number that an
/// identity has come to.
async fn identities_behind(db: &mut Transaction) -> Result<Vec<(String, String)>> {
    let identities = sqlx::query!(
        r#"
        select format('%s.%s', c.relname, a.attname) as "name!",
               format('select coalesce(max(%I), 0)::bigint from %I.%I', a.attname, n.nspname, c.relname) as "highest!",
               pg_sequence_last_value(s.sequence::regclass) as last,
               format('select setval(%L, (select max(%I) from %I.%I))', s.sequence, a.attname, n.nspname, c.relname) as "fix!"
          from pg_attribute a
          join pg_class c on c.oid = a.attrelid
          join pg_namespace n on n.oid = c.relnamespace
          cross join lateral (
              select pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) as sequence
          ) s
         where n.nspname = current_schema()
           and c.relkind = 'r'
           and a.attidentity <> ''
         order by 1
        "#
    )
    .fetch_all(Unprepared(db))
    .await?;
    let mut behind = Vec::new();
    for identity in identities {
        // The server quoted the names in it.
        let highest: i64 = sqlx::query_scalar(AssertSqlSafe(identity.highest))
            .fetch_one(Unprepared(db))
            .await?;
        if highest > identity.last.unwrap_or_default() {
            behind.push((identity.name, identity.fix));
        }
    }
    Ok(behind)
}
