//! Is the database there, is it ours, and does the way past the pooler lead
//! to the same one?

use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;

use super::finding::{Finding, failure, ok, warning};
use crate::config::Settings;
use crate::database::checkup::{Checkup, Migrations, checkup};

const CHECK: &str = "database";

/// Ports that poolers in transaction mode listen on, and names they have.
const POOLER_PORTS: [u16; 2] = [6432, 6543];
const POOLER_NAMES: [&str; 2] = ["pooler", "pgbouncer"];

/// Asks it.
pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let Ok(database) = settings.database() else {
        return Vec::new();
    };
    let is_direct = same_address(&database.options, &database.direct);
    let (found, direct) = tokio::join!(checkup(database.options.clone()), async {
        if is_direct {
            None
        } else {
            Some(checkup(database.direct.clone()).await)
        }
    });
    let found = match found {
        Ok(found) => found,
        Err(error) => return vec![unreachable("DATABASE_URL", &error)],
    };
    let mut findings = vec![reached(&found)];
    findings.extend(migrations(&found.migrations));
    findings.push(match direct {
        Some(Ok(direct)) => same_database(&found, &direct),
        Some(Err(error)) => unreachable("DATABASE_DIRECT_URL", &error),
        None => pooled(&database.options),
    });
    findings
}

fn reached(found: &Checkup) -> Finding {
    let version = &found.version;
    if found.is_read_only {
        let what = format!("PostgreSQL {version} answers and refuses to be written");
        let mend = "point DATABASE_URL at the primary: this is a replica, or it is read-only";
        failure(CHECK, what, mend)
    } else {
        ok(CHECK, format!("PostgreSQL {version} answers"))
    }
}

fn migrations(found: &Migrations) -> Vec<Finding> {
    const CHECK: &str = "migrations";
    let mut findings = Vec::new();
    if !found.missing.is_empty() {
        let (count, first) = (found.missing.len(), found.missing[0]);
        let what = format!("{count} not applied, the first is {first}");
        findings.push(failure(CHECK, what, "run: jarvis-cron migrate"));
    }
    if let Some(first) = found.different.first() {
        let what = format!("{first} was applied with another text, or broke off");
        let mend = "deploy the program that applied it; migrations are never changed, only added";
        findings.push(failure(CHECK, what, mend));
    }
    if let Some(first) = found.unknown.first() {
        let what =
            format!("{first} is not known to this program, which is older than the database");
        findings.push(warning(CHECK, what, "deploy the program that migrated it"));
    }
    if findings.is_empty() {
        findings.push(ok(CHECK, "all applied"));
    }
    findings
}

fn same_database(pooled: &Checkup, direct: &Checkup) -> Finding {
    if pooled.identity == direct.identity {
        ok("pooler", "DATABASE_DIRECT_URL leads to the same database")
    } else {
        let what = "DATABASE_DIRECT_URL leads to another database: migrate would work there";
        let mend = "let both lead to the same database, one through the pooler and one past it";
        failure("pooler", what, mend)
    }
}

/// Without a second address, `migrate` takes the first.
fn pooled(options: &PgConnectOptions) -> Finding {
    let host = options.get_host();
    let is_pooled = POOLER_PORTS.contains(&options.get_port())
        || POOLER_NAMES.iter().any(|name| host.contains(name));
    if is_pooled {
        let what = "DATABASE_URL looks like a pooler's, and DATABASE_DIRECT_URL is not set";
        let mend =
            "set DATABASE_DIRECT_URL to the address past the pooler: migrate needs a session";
        warning("pooler", what, mend)
    } else {
        ok(
            "pooler",
            "DATABASE_DIRECT_URL is not set: migrate uses DATABASE_URL",
        )
    }
}

fn same_address(one: &PgConnectOptions, other: &PgConnectOptions) -> bool {
    let address = |options: &PgConnectOptions| {
        (
            options.get_host().to_owned(),
            options.get_socket().cloned(),
            options.get_port(),
            options.get_database().map(str::to_owned),
        )
    };
    address(one) == address(other)
}

fn unreachable(variable: &str, error: &sqlx::Error) -> Finding {
    let code = error.as_database_error().map(DatabaseError::code);
    let (said, mend) = match (error, code.flatten().as_deref()) {
        (sqlx::Error::Database(error), Some("28P01" | "28000")) => {
            (error.message(), "mend user and password in it")
        }
        (sqlx::Error::Database(error), Some("3D000")) => {
            (error.message(), "create the database, or mend its name")
        }
        (sqlx::Error::Database(error), _) => (error.message(), "ask the database's log"),
        _ => (
            "no connection",
            "is Postgres up, and is it reached from this machine by that host and port?",
        ),
    };
    let cause = match error {
        sqlx::Error::Database(_) => String::new(),
        error => format!(" ({error})"),
    };
    let what = format!("{variable}: {said}{cause}");
    failure(CHECK, what, format!("{variable}: {mend}"))
}
