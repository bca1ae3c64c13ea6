//! Where the database is, how it is reached, and how long it is waited for.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use super::address::{certificates, connect_options, schema};
use super::variables::wrong;
use super::{Read, Settings};
use crate::database::{PasswordFile, Patience, Pool, Schema, Terms};

pub(super) const PASSWORD_FILE: &str = "DATABASE_PASSWORD_FILE";
const SCHEMA: &str = "DATABASE_SCHEMA";
const CA_CERT: &str = "DATABASE_CA_CERT";

/// Where the database is. Does not print: the options hold the password.
#[derive(Clone)]
pub struct Database {
    /// For everything; may lead through a transaction-mode pooler.
    pub options: PgConnectOptions,
    /// For migrations; past the pooler where there is one.
    pub direct: PgConnectOptions,
    /// Whether that address was given.
    pub has_direct: bool,
    /// Connections of this process.
    pub max_connections: u32,
    /// What holds for every transaction.
    pub terms: Terms,
    /// Where the password of the next connection is.
    password: Option<PasswordFile>,
}

impl Database {
    /// The pool for everything; connects at its first use.
    #[must_use]
    pub fn pool(self) -> Pool {
        Pool::new(
            self.options,
            self.password,
            self.max_connections,
            self.terms,
        )
    }
}

impl Settings {
    /// Everything that begins with `DATABASE_`, except for the lock time-out.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn database(&self) -> Read<Database> {
        let url = self.required("DATABASE_URL", "postgres://user:password@host/database")?;
        let ca = self.ca_cert()?;
        let password = self.text(PASSWORD_FILE)?.map(PasswordFile::new);
        let read = match &password {
            None => None,
            Some(file) => Some(file.read().map_err(|_| {
                let hint = "must be the path of a file that holds the password and can be read";
                wrong(PASSWORD_FILE, hint)
            })?),
        };
        let options = |name: &str, url: &str| {
            let options = connect_options(name, url, ca.as_deref())?;
            Ok(match &read {
                Some(password) => options.password(password),
                None => options,
            })
        };
        let through = options("DATABASE_URL", url)?;
        let direct = match self.text("DATABASE_DIRECT_URL")? {
            Some(url) => Some(options("DATABASE_DIRECT_URL", url)?),
            None => None,
        };
        let statement = self.number("DATABASE_STATEMENT_TIMEOUT_MS", 10_000, 50..=60_000)?;
        Ok(Database {
            has_direct: direct.is_some(),
            direct: direct.unwrap_or_else(|| through.clone()),
            options: through,
            max_connections: self.number("DATABASE_MAX_CONNECTIONS", 5, 2..=1_000)?,
            terms: Terms {
                schema: self.schema()?,
                patience: Patience {
                    acquire: self.milliseconds("DATABASE_ACQUIRE_TIMEOUT_MS", 5_000)?,
                    statement: Duration::from_millis(statement.into()),
                },
            },
            password,
        })
    }

    /// Where our tables are: what `DATABASE_SCHEMA` says, or an address.
    ///
    /// # Errors
    /// When it is no name of a schema, or they disagree.
    pub fn schema(&self) -> Read<Schema> {
        Ok(self.named_schema()?.unwrap_or_default())
    }

    /// The same, where either says anything.
    ///
    /// # Errors
    /// When it is no name of a schema, or they disagree.
    pub fn named_schema(&self) -> Read<Option<Schema>> {
        const NAME: &str =
            "must be the name of a schema: lower-case letters, digits and _, such as jarvis";
        const OTHER: &str = "is another schema than the parameter schema of an address names: \
                             leave one of them out";
        let set = match self.text(SCHEMA)? {
            Some(name) => Some(Schema::named(name).ok_or_else(|| wrong(SCHEMA, NAME))?),
            None => None,
        };
        let mut named = set.clone();
        for address in ["DATABASE_URL", "DATABASE_DIRECT_URL"] {
            let Some(of_address) = self.text(address)?.and_then(schema) else {
                continue;
            };
            if *named.get_or_insert_with(|| of_address.clone()) != of_address {
                let variable = if set.is_some() { SCHEMA } else { address };
                return Err(wrong(variable, OTHER));
            }
        }
        Ok(named)
    }

    /// The certificates that the database's is checked with, as PEM.
    fn ca_cert(&self) -> Read<Option<Vec<u8>>> {
        let Some(text) = self.text(CA_CERT)? else {
            return Ok(None);
        };
        let hint =
            "must be a certificate as PEM, or the path of a file that holds one and can be read";
        let pem = certificates(text).ok_or_else(|| wrong(CA_CERT, hint))?;
        Ok(Some(pem))
    }

    pub(super) fn milliseconds(&self, name: &str, default: u32) -> Read<Duration> {
        let number = self.number(name, default, 50..=15_000)?;
        Ok(Duration::from_millis(number.into()))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}
