//! Every setting, read from the environment once; nothing else reads it.
//!
//! A wrong value is one clear line that names the variable and the mend, and
//! never shows the value. A variable that is set but empty is wrong, not
//! unset: `CRON_SECRET=` must never mean "no secret wanted".

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::{outbound, runs, stripe, telemetry};

mod guard;
mod placeholder;

pub use guard::{Guard, KeyRing, Verification};

/// The environment, as far as it is ours.
#[derive(Clone)]
pub struct Settings(BTreeMap<String, String>);

/// A setting that cannot stand, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {mend}")]
pub struct Wrong {
    /// The variable.
    pub variable: String,
    /// What is wrong with it and what to do; never its value.
    pub mend: String,
}

/// Settings are read one after the other; the first wrong one is told.
pub type Read<T> = Result<T, Wrong>;

/// Where the database is.
#[derive(Debug, Clone)]
pub struct Database {
    /// For everything; may lead through a transaction-mode pooler.
    pub options: PgConnectOptions,
    /// For migrations; past the pooler where there is one.
    pub direct: PgConnectOptions,
    /// Connections of this process.
    pub max_connections: u32,
}

impl Settings {
    /// The environment of this process.
    #[must_use]
    pub fn from_env() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        )
    }

    /// The same settings with some replaced: for the demo and for tests.
    #[must_use]
    pub fn with<N: Into<String>, V: Into<String>>(
        mut self,
        settings: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.0.extend(
            settings
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        self
    }

    /// No settings at all.
    #[must_use]
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// `DATABASE_URL`, `DATABASE_DIRECT_URL`, `DATABASE_MAX_CONNECTIONS`.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn database(&self) -> Read<Database> {
        let options = self.required("DATABASE_URL", "postgres://user:password@host/database")?;
        let options = connect_options("DATABASE_URL", options)?;
        let direct = match self.text("DATABASE_DIRECT_URL")? {
            Some(url) => connect_options("DATABASE_DIRECT_URL", url)?,
            None => options.clone(),
        };
        let max_connections = self.number("DATABASE_MAX_CONNECTIONS", 5, 1..=1_000)?;
        Ok(Database {
            options,
            direct,
            max_connections,
        })
    }

    /// `HOST` and `PORT`; with `dev`, this machine only.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn address(&self, dev: bool) -> Read<SocketAddr> {
        let default = if dev {
            Ipv4Addr::LOCALHOST
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        let host: IpAddr = match self.text("HOST")? {
            None => default.into(),
            Some(host) => host
                .parse()
                .map_err(|_| wrong("HOST", "must be an IP address such as 0.0.0.0 or 127.0.0.1"))?,
        };
        if dev && !host.is_loopback() {
            return Err(wrong(
                "HOST",
                "must be a loopback address with --dev, which accepts weak secrets",
            ));
        }
        let port = self.number("PORT", 8080, 0..=65_535)?;
        Ok(SocketAddr::new(
            host,
            u16::try_from(port).unwrap_or_default(),
        ))
    }

    /// `STRIPE_SECRET_KEY`, `STRIPE_API_BASE`, `STRIPE_MAX_RPS`,
    /// `STRIPE_CANCELLATION_REASON`.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn stripe(&self) -> Read<stripe::Settings> {
        const REASONS: [&str; 4] = [
            "duplicate",
            "fraudulent",
            "requested_by_customer",
            "abandoned",
        ];
        let key = self.text("STRIPE_SECRET_KEY")?;
        if key.is_some_and(|key| !(key.starts_with("sk_") || key.starts_with("rk_"))) {
            return Err(wrong(
                "STRIPE_SECRET_KEY",
                "must begin with sk_ or rk_; or unset it",
            ));
        }
        let base = self.url("STRIPE_API_BASE", "https://api.stripe.com")?;
        if !outbound::is_safe_for_secrets(&base) {
            return Err(wrong(
                "STRIPE_API_BASE",
                "must be an https address: over plain http the key would travel in the clear (only this machine is excepted)",
            ));
        }
        let reason = self
            .0
            .get("STRIPE_CANCELLATION_REASON")
            .map_or("abandoned", String::as_str);
        if !reason.is_empty() && !REASONS.contains(&reason) {
            let mend = format!(
                "must be one of {}, or empty to send none",
                REASONS.join(", ")
            );
            return Err(wrong("STRIPE_CANCELLATION_REASON", &mend));
        }
        let max_rps = self.number("STRIPE_MAX_RPS", 10, 1..=10_000)?;
        Ok(stripe::Settings {
            key: key.map(SecretString::from),
            base,
            max_rps: NonZeroU32::new(max_rps).unwrap_or(NonZeroU32::MIN),
            cancellation_reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        })
    }

    /// `RUN_BUDGET_SECONDS`, `LEASE_TTL_SECONDS`.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn runs(&self) -> Read<runs::Settings> {
        let seconds = |number: u32| Duration::from_secs(number.into());
        Ok(runs::Settings {
            budget: seconds(self.number("RUN_BUDGET_SECONDS", 50, 1..=3_600)?),
            lease_ttl: seconds(self.number("LEASE_TTL_SECONDS", 60, 1..=3_600)?),
        })
    }

    /// `LOG_FORMAT`, `RUST_LOG`.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn logs(&self) -> Read<telemetry::Settings> {
        let json = match self.text("LOG_FORMAT")? {
            None | Some("json") => true,
            Some("pretty") => false,
            Some(_) => return Err(wrong("LOG_FORMAT", "must be json or pretty")),
        };
        let filter =
            telemetry::filter(self.text("RUST_LOG")?.unwrap_or("info")).ok_or_else(|| {
                wrong(
                    "RUST_LOG",
                    "must be a filter such as info or jarvis_cron=debug",
                )
            })?;
        Ok(telemetry::Settings { json, filter })
    }

    /// Who is at the command line, for the ledger.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        self.0.get("USER").filter(|user| !user.is_empty()).cloned()
    }

    /// Where PostgreSQL's server programs are, when `PG_BIN` says so.
    #[must_use]
    pub fn postgres_programs(&self) -> Option<&str> {
        self.0
            .get("PG_BIN")
            .map(String::as_str)
            .filter(|path| !path.is_empty())
    }

    /// Where programs are looked for.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.get("PATH").map_or("", String::as_str)
    }

    /// A variable that may be unset; set but empty is wrong.
    fn text(&self, name: &str) -> Read<Option<&str>> {
        match self.0.get(name).map(|value| value.trim()) {
            Some("") => Err(wrong(name, "is set but empty; give it a value or unset it")),
            value => Ok(value),
        }
    }

    fn required(&self, name: &str, example: &str) -> Read<&str> {
        self.text(name)?
            .ok_or_else(|| wrong(name, &format!("is not set; for example {example}")))
    }

    fn number(&self, name: &str, default: u32, bounds: std::ops::RangeInclusive<u32>) -> Read<u32> {
        let Some(text) = self.text(name)? else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| {
                let (least, most) = (bounds.start(), bounds.end());
                wrong(
                    name,
                    &format!("must be a whole number from {least} to {most}"),
                )
            })
    }

    /// An http or https address, its trailing slash cut off.
    fn url(&self, name: &str, default: &str) -> Read<Url> {
        let mend = "must be an address such as https://cron.example.com, without a query";
        let text = self.text(name)?.unwrap_or(default);
        let url: Url = text
            .trim_end_matches('/')
            .parse()
            .map_err(|_| wrong(name, mend))?;
        let is_plain = url.query().is_none() && url.fragment().is_none() && url.has_host();
        if is_plain && matches!(url.scheme(), "http" | "https") {
            Ok(url)
        } else {
            Err(wrong(name, mend))
        }
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}

fn connect_options(name: &str, url: &str) -> Read<PgConnectOptions> {
    let mend = "must be an address such as postgres://user:password@host/database";
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        return Err(wrong(name, mend));
    }
    url.parse().map_err(|_| wrong(name, mend))
}

fn wrong(variable: &str, mend: &str) -> Wrong {
    Wrong {
        variable: variable.to_owned(),
        mend: mend.to_owned(),
    }
}
