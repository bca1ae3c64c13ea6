//! The address of the database, in every form that providers hand out: it
//! works, or is refused by name.
//!
//! Promises that TLS is left out on the way to another machine only where the
//! address says so in so many words, and that no hint shows a value.

use std::borrow::Cow;
use std::fs;
use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use super::Read;
use super::variables::wrong;
use crate::database::Schema;

/// Parameters of other clients that change nothing here: what they ask for
/// holds anyway, or has a setting of its own.
const WITHOUT_EFFECT: [&str; 24] = [
    "application_name",
    "client_encoding",
    "connect_timeout",
    "connection_limit",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "pgbouncer",
    "pool_max_conns",
    "pool_max_conn_lifetime",
    "pool_timeout",
    "prepare_threshold",
    "prepareThreshold",
    "socket_timeout",
    "statement-cache-capacity",
    "statement_cache_size",
    "supa",
    "tcp_user_timeout",
    "uselibpqcompat",
    "workaround",
    "single_use_connections",
];

/// Parameters that go to the driver as they are.
const PASSED_ON: [&str; 7] = [
    "host", "port", "dbname", "user", "options", "sslcert", "sslkey",
];

/// Or what is wrong, and how to write it.
type Asking<T> = Result<T, Cow<'static, str>>;

const SSL_MODE: &str = "has an sslmode that is not taken: write disable, require \
    (which, like no-verify elsewhere, checks no certificate), verify-ca or verify-full";

/// Reads the address in the variable `name`. The certificates `ca` are those of
/// its authority.
pub(super) fn connect_options(name: &str, text: &str, ca: Option<&[u8]>) -> Read<PgConnectOptions> {
    let read = || -> Asking<PgConnectOptions> {
        let mut url = parse(text)?;
        let asked = Asked::take(&mut url)?;
        let mut options = PgConnectOptions::from_url(&url).map_err(|_| FORM)?;
        // The driver keeps the brackets, and finds no such host.
        let host = options.get_host().trim_matches(['[', ']']).to_owned();
        options = options.host(&host);
        let ca = match &asked.root_cert {
            Some(path) if ca.is_none() => Some(certificates(path).ok_or(NO_ROOT)?),
            _ => ca.map(<[u8]>::to_vec),
        };
        let has_root = ca.is_some();
        if let Some(ca) = ca {
            options = options.ssl_root_cert_from_pem(ca);
        }
        let mode = if is_socket(&options) {
            PgSslMode::Disable // As libpq does: no server speaks TLS there.
        } else {
            asked.mode(is_this_machine(&options), has_root)?
        };
        Ok(options.ssl_mode(mode))
    };
    read().map_err(|hint| wrong(name, &hint))
}

/// Whether the way leads past every network.
#[must_use]
pub fn is_this_machine(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let is_loopback = || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    is_socket(options) || host.eq_ignore_ascii_case("localhost") || is_loopback()
}

fn is_socket(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some() || options.get_host().starts_with('/')
}

/// The certificates in a text, or in the file that it names; `None` where there
/// are none.
pub(super) fn certificates(pem_or_path: &str) -> Option<Vec<u8>> {
    let pem = if pem_or_path.starts_with("-----BEGIN") {
        // Some platforms keep a value on one line.
        pem_or_path.replace("\\n", "\n").into_bytes()
    } else {
        fs::read(pem_or_path).ok()?
    };
    let mut found = CertificateDer::pem_slice_iter(&pem).peekable();
    found.peek()?;
    found.all(|certificate| certificate.is_ok()).then_some(pem)
}

const FORM: &str = "must be an address such as postgres://user:password@host/database";
const ENCODE: &str = "has a special character in user, password or a parameter: \
    percent-encode it (@ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25)";
const SEVERAL: &str = "names several servers: name one";
const CONTROL: &str = "has a control character, or %00, which Postgres does not take: remove it";
const NO_ROOT: &str = "has an sslrootcert that is no file with a certificate as PEM";

/// The address as a URL, also where it names no host.
pub(super) fn parse(text: &str) -> Asking<Url> {
    let rest = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"))
        .ok_or(FORM)?;
    // The one is left out without a word; the other ends a text of the protocol.
    if rest.contains(char::is_control) || rest.contains("%00") {
        return Err(CONTROL.into());
    }
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if after.contains(['@', '#']) || !is_percent_encoded(rest) {
        return Err(ENCODE.into());
    }
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.contains(',') {
        return Err(SEVERAL.into());
    }
    // A user without a host: the parameter `host` says where the socket is.
    let host = if host.is_empty() && !user.is_empty() {
        "localhost"
    } else {
        host
    };
    let at = if user.is_empty() { "" } else { "@" };
    let url = format!("postgres://{user}{at}{host}{after}");
    // What is not a port may be half a password.
    let hint = if user.is_empty() { FORM } else { ENCODE };
    Url::parse(&url).map_err(|_| hint.into())
}

/// The schema that the address names, as Prisma's do.
pub(super) fn schema(text: &str) -> Option<Schema> {
    let url = parse(text).ok()?;
    let named = url.query_pairs().find(|(key, _)| key == "schema");
    named.and_then(|(_, name)| Schema::named(&name))
}

fn is_percent_encoded(text: &str) -> bool {
    let is_hex = |part: &str| {
        let digits = part.get(..2);
        digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
    };
    text.split('%').skip(1).all(is_hex)
}

/// What the parameters ask for of TLS.
#[derive(Default)]
struct Asked {
    mode: Option<PgSslMode>,
    /// Where the channel is to be bound to the server's certificate, it is
    /// checked in full instead: the driver cannot bind it.
    verifies: bool,
    root_cert: Option<String>,
}

impl Asked {
    /// Takes them out of `url`, which keeps what the driver knows.
    fn take(url: &mut Url) -> Asking<Self> {
        let mut asked = Self::default();
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        url.set_query(None);
        for (key, value) in &pairs {
            if pairs.iter().filter(|(other, _)| other == key).count() > 1 {
                let key = key.escape_debug();
                return Err(format!("has the parameter {key} more than once").into());
            }
            match (key.as_str(), value.as_str()) {
                ("sslmode" | "ssl-mode", mode) => asked.mode = Some(parse_mode(mode)?),
                ("sslaccept", "accept_invalid_certs") => {
                    asked.mode.get_or_insert(PgSslMode::Require);
                }
                ("sslaccept", "strict")
                | ("sslrootcert", "system")
                | ("channel_binding", "require") => asked.verifies = true,
                ("channel_binding", "prefer" | "disable")
                | ("target_session_attrs", "any" | "read-write" | "primary")
                | ("sslnegotiation", "postgres") => {}
                ("schema", name) if Schema::named(name).is_some() => {}
                ("sslrootcert" | "ssl-root-cert" | "ssl-ca", _) => {
                    asked.root_cert = Some(value.clone());
                }
                ("host" | "hostaddr" | "port", several) if several.contains(',') => {
                    return Err(SEVERAL.into());
                }
                (known, _) if PASSED_ON.contains(&known) || known.starts_with("options[") => {
                    url.query_pairs_mut().append_pair(key, value);
                }
                (known, _) if WITHOUT_EFFECT.contains(&known) => {}
                (other, _) => return Err(refused(other)),
            }
        }
        Ok(asked)
    }

    fn mode(&self, is_here: bool, has_root: bool) -> Asking<PgSslMode> {
        use PgSslMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};
        match self.mode {
            Some(Disable) if self.verifies => Err(CONTRADICTION.into()),
            _ if self.verifies => Ok(VerifyFull),
            Some(Allow | Prefer) if !is_here => Err(MAY_BE_PLAIN.into()),
            // As libpq does: an authority is given to be asked.
            Some(Require) if has_root => Ok(VerifyCa),
            Some(mode) => Ok(mode),
            None if has_root => Ok(VerifyFull),
            None if is_here => Ok(Prefer),
            None => Ok(Require),
        }
    }
}

const CONTRADICTION: &str =
    "asks for sslmode=disable and for a checked certificate at once: remove one of the two";
const MAY_BE_PLAIN: &str = "has sslmode=prefer or sslmode=allow, which may send everything in the clear: \
    write require, or disable where that is meant";

fn parse_mode(mode: &str) -> Asking<PgSslMode> {
    mode.parse().map_err(|_| SSL_MODE.into())
}

fn refused(parameter: &str) -> Cow<'static, str> {
    match parameter {
        "schema" => {
            "has a parameter schema that is no name of a schema: lower-case letters, digits and _"
                .into()
        }
        "password" => {
            "has the parameter password: write it before the host, as user:password@".into()
        }
        "channel_binding" | "sslaccept" | "sslnegotiation" | "target_session_attrs" => {
            format!("has the parameter {parameter} with a value that is not taken: remove it")
                .into()
        }
        other => {
            let other = other.escape_debug();
            format!("has the parameter {other}, which is not known: remove it").into()
        }
    }
}
