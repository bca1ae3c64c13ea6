//! Every setting, read from the environment once; nothing else reads it.
//!
//! A wrong value is one clear line that names the variable and the fix, and
//! never shows the value. A variable that is set but empty is wrong, not
//! unset: `CRON_SECRET=` must never mean "no secret wanted".

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrecy::SecretString;

use crate::{engine, stripe, telemetry};

mod address;
mod database;
mod guard;
mod placeholder;
mod qstash;
mod redact;
mod reports;
mod variables;

pub use address::is_this_machine;
pub use database::Database;
pub use guard::{Guard, KeyRing, Verification};
pub use variables::{Read, Settings, Wrong};

use variables::wrong;

impl Settings {
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
        let base = self.api("STRIPE_API_BASE", "https://api.stripe.com", "key")?;
        let reason = self
            .raw("STRIPE_CANCELLATION_REASON")
            .unwrap_or("abandoned");
        if !reason.is_empty() && !REASONS.contains(&reason) {
            let hint = format!(
                "must be one of {}, or empty to send none",
                REASONS.join(", ")
            );
            return Err(wrong("STRIPE_CANCELLATION_REASON", &hint));
        }
        Ok(stripe::Settings {
            key: key.map(SecretString::from),
            base,
            max_rps: self.rate("STRIPE_MAX_RPS", 10, 10_000)?,
            cancellation_reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        })
    }

    /// `JOBS`: those of the jobs `known` that are in use.
    ///
    /// # Errors
    /// When it names another, or none.
    pub fn jobs<'k>(&self, known: &[&'k str]) -> Read<Vec<&'k str>> {
        const JOBS: &str = "JOBS";
        let Some(text) = self.text(JOBS)? else {
            return Ok(known.to_vec());
        };
        let named = text.split(',').map(str::trim);
        let named: Vec<&str> = named.filter(|name| !name.is_empty()).collect();
        let all = known.join(", ");
        for name in &named {
            if !known.contains(name) {
                let steps = |known: &&&str| strsim::levenshtein(name, known);
                let nearest = known.iter().min_by_key(steps).unwrap_or(&"");
                let hint = format!(
                    "names a job that does not exist; did you mean {nearest}? There are: {all}"
                );
                return Err(wrong(JOBS, &hint));
            }
        }
        if named.is_empty() {
            return Err(wrong(JOBS, &format!("names no job; there are: {all}")));
        }
        let mut used = known.to_vec();
        used.retain(|job| named.contains(job));
        Ok(used)
    }

    /// `RUN_BUDGET_SECONDS`, `LEASE_TTL_SECONDS`, `DATABASE_LOCK_TIMEOUT_MS`.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn runs(&self) -> Read<engine::Settings> {
        let seconds = |number: u32| Duration::from_secs(number.into());
        Ok(engine::Settings {
            budget: seconds(self.number("RUN_BUDGET_SECONDS", 50, 1..=3_600)?),
            lease_ttl: seconds(self.number("LEASE_TTL_SECONDS", 60, 1..=3_600)?),
            lock_timeout: self.milliseconds("DATABASE_LOCK_TIMEOUT_MS", 3_000)?,
            stop_patience: engine::STOP_PATIENCE,
        })
    }

    /// `LOG_FORMAT`, `RUST_LOG`, as `serve` reads them.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn logs(&self) -> Read<telemetry::Settings> {
        self.logs_or("json", "info")
    }

    /// The same for commands at a terminal: quieter, and readable.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn logs_for_people(&self) -> Read<telemetry::Settings> {
        self.logs_or("pretty", "warn")
    }

    fn logs_or(&self, format: &str, filter: &str) -> Read<telemetry::Settings> {
        let json = match self.text("LOG_FORMAT")?.unwrap_or(format) {
            "json" => true,
            "pretty" => false,
            _ => return Err(wrong("LOG_FORMAT", "must be json or pretty")),
        };
        let filter =
            telemetry::filter(self.text("RUST_LOG")?.unwrap_or(filter)).ok_or_else(|| {
                wrong(
                    "RUST_LOG",
                    "must be a filter such as info or jarvis_cron=debug",
                )
            })?;
        Ok(telemetry::Settings { json, filter })
    }
}
