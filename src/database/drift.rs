//! Where rows and the server disagree: clocks that were set back, and
//! identities that are behind their tables. For `doctor`; reads only.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Result};

use super::names::Names;
use super::{MIGRATOR, Terms, Transaction, Unprepared, begin_alone};

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
    /// Tables whose identity this role may not read, named alike.
    pub identities_unread: Vec<String>,
    /// Functions that look in another schema than the one they are in, and the
    /// statement that corrects it.
    pub functions_astray: Vec<(String, String)>,
}

/// Asks the database.
///
/// # Errors
/// What it, or the way to it, answered instead.
pub async fn drift(options: PgConnectOptions, terms: &Terms) -> Result<Drift> {
    let mut tx = begin_alone(options, terms).await?;
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
    let mut drift = Drift {
        jobs_ahead: clock.jobs,
        runs_ahead: clock.runs,
        ..Drift::default()
    };
    drift.compare_identities(&mut tx).await?;
    drift.follow_functions(&mut tx).await?;
    Ok(drift)
}

impl Drift {
    /// A restore or a logical copy brings rows along, and not the number that an
    /// identity has come to.
    async fn compare_identities(&mut self, db: &mut Transaction) -> Result<()> {
        let ours = Names::created_by(MIGRATOR.iter()).relations;
        let ours: Vec<String> = ours.into_iter().map(str::to_owned).collect();
        let identities = sqlx::query!(
            r#"
            select format('%s.%s', c.relname, a.attname) as "name!",
                   has_sequence_privilege(s.sequence, 'select') as "is_readable!",
                   format('select max(%I) >= (select last_value + is_called::int from %s) from %I.%I', a.attname, s.sequence, n.nspname, c.relname) as "is_behind!",
                   format('select setval(%L, (select max(%I) from %I.%I))', s.sequence, a.attname, n.nspname, c.relname) as "fix!"
              from pg_attribute a
              join pg_class c on c.oid = a.attrelid
              join pg_namespace n on n.oid = c.relnamespace
              cross join lateral (
                  select pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) as sequence
              ) s
             where n.nspname = current_schema()
               and c.relkind = 'r'
               and c.relname = any ($1)
               and a.attidentity <> ''
             order by 1
            "#,
            &ours
        )
        .fetch_all(Unprepared(db))
        .await?;
        for identity in identities {
            if !identity.is_readable {
                self.identities_unread.push(identity.name);
                continue;
            }
            // The server quoted the names in it; an empty table has no highest number.
            let is_behind: Option<bool> = sqlx::query_scalar(AssertSqlSafe(identity.is_behind))
                .fetch_one(Unprepared(db))
                .await?;
            if is_behind.unwrap_or_default() {
                self.identities_behind.push((identity.name, identity.fix));
            }
        }
        Ok(())
    }

    /// A schema that was renamed leaves them where it was.
    async fn follow_functions(&mut self, db: &mut Transaction) -> Result<()> {
        let ours = Names::created_by(MIGRATOR.iter()).functions;
        let ours: Vec<String> = ours.into_iter().map(str::to_owned).collect();
        let astray = sqlx::query!(
            r#"
            select proname::text as "name!",
                   format('alter function %I.%I(%s) set search_path = %1$I, pg_temp', current_schema(), proname, pg_get_function_identity_arguments(oid)) as "fix!"
              from pg_proc
             cross join unnest(proconfig) as setting
             where pronamespace = current_schema()::regnamespace
               and proname = any ($1)
               and setting like 'search_path=%'
               and current_schema() <> all (
                   select btrim(schema, ' "')
                     from unnest(string_to_array(substr(setting, 13), ',')) as schema
               )
             order by 1
            "#,
            &ours
        )
        .fetch_all(Unprepared(db))
        .await?;
        self.functions_astray = astray.into_iter().map(|it| (it.name, it.fix)).collect();
        Ok(())
    }
}
