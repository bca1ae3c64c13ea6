//! Checks the database and its migrations, that the address past the pooler
//! leads to the same database, and that no other server could answer for it.

use std::collections::BTreeSet;

use futures::future::OptionFuture;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::time::timeout;

use super::finding::{Finding, failure, ok, warning};
use crate::config::{Database, Settings, is_this_machine};
use crate::database::checkup::{Checkup, Migrations, checkup};
use crate::database::migrating::session;
use crate::database::obstacles::Obstacle;
use crate::database::pooler_safe;
use crate::foreign_text::ForeignText;

const CHECK: &str = "database";
const POOLER: &str = "pooler";
const DIRECT: &str = "DATABASE_DIRECT_URL";
const TLS: &str = "tls";

/// Connects to both addresses.
pub(super) async fn check(settings: &Settings) -> Option<Vec<Finding>> {
    let database = settings.database().ok()?;
    let is_direct = same_address(&database.options, &database.direct);
    let migrate_s = if database.has_direct {
        DIRECT
    } else {
        "DATABASE_URL"
    };
    let service = database.options.get_username();
    let ask = |options: &PgConnectOptions| checkup(options.clone(), service, &database.terms);
    let direct = (!is_direct).then(|| ask(&database.direct));
    let (found, direct) = tokio::join!(ask(&database.options), OptionFuture::from(direct));
    let mut findings = vec![encrypted("DATABASE_URL", &database.options)];
    if !is_direct {
        findings.push(encrypted(DIRECT, &database.direct));
    }
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            findings.push(unreachable("DATABASE_URL", &error));
            return Some(findings);
        }
    };
    findings.push(reached(&found));
    findings.extend(rights(&found.rights_missing));
    // It is by the other address that migrate comes.
    let migrating = direct.as_ref().and_then(|it| it.as_ref().ok());
    let obstacles = &migrating.unwrap_or(&found).obstacles;
    // Where they cannot be read, a right is missing.
    let on_record = found.migrations.iter();
    findings.extend(on_record.flat_map(|it| migrations(it, obstacles)));
    findings.extend(exposure(&found));
    findings.push(match direct {
        Some(Ok(direct)) => same_database(&found, &direct),
        Some(Err(error)) => unreachable(DIRECT, &error),
        None if database.has_direct => ok(POOLER, "DATABASE_DIRECT_URL is DATABASE_URL's address"),
        None => ok(
            POOLER,
            "DATABASE_DIRECT_URL is not set: migrate uses DATABASE_URL",
        ),
    });
    findings.extend(through_a_pooler(migrate_s, &database).await);
    Some(findings)
}

/// A server that is not checked in full may be another than the one that is meant.
fn encrypted(variable: &str, options: &PgConnectOptions) -> Finding {
    if is_this_machine(options) {
        return ok(TLS, format!("{variable} leads to this machine"));
    }
    let (mode, means) = match options.get_ssl_mode() {
        PgSslMode::VerifyFull => {
            let what = format!("{variable} is encrypted, and the server's certificate checked");
            return ok(TLS, what);
        }
        PgSslMode::VerifyCa => ("verify-ca", "the server's name is not checked"),
        PgSslMode::Require => ("require", "the server's certificate is not checked"),
        _ => ("disable", "nothing is encrypted"),
    };
    let what = format!("{variable}: sslmode={mode}, {means}");
    let fix = format!(
        "{variable}: set sslmode=verify-full, and DATABASE_CA_CERT where the authority is not a public one"
    );
    warning(TLS, what, fix)
}

fn reached(found: &Checkup) -> Finding {
    let version = &found.version;
    if found.is_read_only {
        let what = format!("PostgreSQL {version} answers and refuses writes");
        let fix = "point DATABASE_URL at the primary: this is a replica, or it is read-only";
        failure(CHECK, what, fix)
    } else {
        ok(CHECK, format!("PostgreSQL {version} answers"))
    }
}

fn rights(missing: &[String]) -> Option<Finding> {
    let what = format!("the role of DATABASE_URL lacks {}", missing.join("; "));
    let fix = "grant them: no run may begin before; where a row is hidden by row level security, \
               give the role BYPASSRLS, or a policy for these commands with using (true)";
    (!missing.is_empty()).then(|| failure("rights", what, fix))
}

fn migrations(found: &Migrations, obstacles: &[Obstacle]) -> Vec<Finding> {
    const CHECK: &str = "migrations";
    let mut findings = Vec::new();
    if let Some(first) = found.missing.first() {
        let count = found.missing.len();
        let what = format!("{count} not applied, the first is {first}");
        if obstacles.is_empty() {
            findings.push(failure(CHECK, &*what, "run: jarvis-cron migrate"));
        }
        for obstacle in obstacles {
            let what = format!("{what}, and migrate would refuse: {}", obstacle.what);
            findings.push(failure(CHECK, what, &*obstacle.fix));
        }
    }
    if let Some(first) = found.different.first() {
        let what = format!("{first} was applied with another text, or failed halfway");
        let fix = "deploy the program that applied it; migrations are never changed, only added";
        findings.push(failure(CHECK, what, fix));
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

/// Who else could read or write the tables.
fn exposure(found: &Checkup) -> Vec<Finding> {
    const CHECK: &str = "exposure";
    if found.exposed.is_empty() {
        return vec![ok(CHECK, "no other role can read or write the tables")];
    }
    let each = found.exposed.iter();
    each.map(|exposed| {
        let role = &exposed.role;
        let listed = |verb: &str, tables: &[String]| match tables {
            [] => None,
            tables => Some(format!("{verb} {}", tables.join(", "))),
        };
        let may = [
            listed("read", &exposed.reads),
            listed("write", &exposed.writes),
        ];
        let may = may.into_iter().flatten().collect::<Vec<_>>().join(", and ");
        let what = format!("{role} can {may}");
        if !exposed.is_harmful() {
            return ok(CHECK, what);
        }
        let schema = &found.schema;
        let tables = exposed.reads.iter().chain(&exposed.writes);
        let tables: BTreeSet<_> = tables.map(|table| format!("{schema}.{table}")).collect();
        let tables = Vec::from_iter(tables).join(", ");
        let fix = format!("revoke all on {tables} from {role}");
        failure(CHECK, what, fix)
    })
    .collect()
}

fn same_database(pooled: &Checkup, direct: &Checkup) -> Finding {
    if pooled.identity == direct.identity {
        ok(POOLER, "DATABASE_DIRECT_URL leads to the same database")
    } else {
        let what = "DATABASE_DIRECT_URL leads to another database: migrate would work there";
        let fix = "set both to the same database, one through the pooler and one past it";
        failure(POOLER, what, fix)
    }
}

/// Whether the address that `migrate` takes gives it no session of its own.
async fn through_a_pooler(variable: &str, database: &Database) -> Option<Finding> {
    let options = pooler_safe(database.direct.clone());
    let opened = timeout(database.terms.patience.acquire, session::open(&options)).await;
    if !matches!(opened, Ok(Ok(None))) {
        return None;
    }
    let what = format!("{variable} leads through a pooler in transaction mode: migrate refuses it");
    let fix = "set DATABASE_DIRECT_URL to the address past the pooler: migrate needs a session";
    Some(warning(POOLER, what, fix))
}

fn same_address(one: &PgConnectOptions, other: &PgConnectOptions) -> bool {
    one.get_host() == other.get_host()
        && one.get_socket() == other.get_socket()
        && one.get_port() == other.get_port()
        && one.get_database() == other.get_database()
        && one.get_username() == other.get_username()
}

fn unreachable(variable: &str, error: &sqlx::Error) -> Finding {
    let (what, fix) = explained(error);
    failure(
        CHECK,
        format!("{variable}: {what}"),
        format!("{variable}: {fix}"),
    )
}

/// Why there is no connection, and what to do about it.
pub(in crate::cli) fn explained(error: &sqlx::Error) -> (ForeignText, &'static str) {
    let (what, fix) = match error {
        sqlx::Error::Database(error) => {
            let fix = match error.code().as_deref() {
                Some("28P01" | "28000") => {
                    "correct the user and the password (that of DATABASE_PASSWORD_FILE, where it is set)"
                }
                Some("3D000") => "create the database, or correct its name",
                Some("53300") => "raise the limit of connections, of the server or of the role",
                _ => "read the database's log",
            };
            (error.message().to_owned(), fix)
        }
        error => {
            let what = error.to_string();
            let fix = if what.contains("does not support TLS") {
                "switch TLS on at the server; or, on a network that is trusted, set sslmode=disable"
            } else if what.contains("certificate") {
                "set DATABASE_CA_CERT to the certificate of the server's authority, and the host to a name that the server's certificate has"
            } else if what.contains("saslprep") {
                "correct the password: it has a character that Postgres takes in none"
            } else {
                "check that Postgres is running and that this machine reaches that host and port"
            };
            (format!("no connection ({what})"), fix)
        }
    };
    (ForeignText::new(&what), fix)
}
