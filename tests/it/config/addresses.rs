//! Every form of DATABASE_URL that providers hand out works, or is refused by name.

use jarvis_cron::config::is_this_machine;
use jarvis_cron::foreign_text::ForeignText;
use sqlx::postgres::PgConnectOptions;

use super::*;

fn address(url: &str, changes: &[(&str, &str)]) -> Result<PgConnectOptions, Wrong> {
    let changes = changes.iter().copied();
    let settings = Settings::none().with([("DATABASE_URL", url)]).with(changes);
    settings.database().map(|database| database.options)
}

/// `user@host:port/database`, and how TLS is used.
fn described(url: &str) -> String {
    let found = address(url, &[]).unwrap();
    let host = match found.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => found.get_host().to_owned(),
    };
    let user = found.get_username();
    let database = found.get_database().unwrap_or_default();
    let tls = format!("{:?}", found.get_ssl_mode());
    format!("{user}@{host}:{}/{database} {tls}", found.get_port())
}

#[rstest]
#[case::plain("postgres://u:p@db.example.test/d", "u@db.example.test:5432/d Require")]
#[case::this_machine("postgres://u:p@localhost/d", "u@localhost:5432/d Prefer")]
#[case::loopback("postgres://u:p@127.0.0.1:6000/d", "u@127.0.0.1:6000/d Prefer")]
#[case::loopback_of_ipv6("postgres://u:p@[::1]:6000/d", "u@::1:6000/d Prefer")]
#[case::ipv6("postgres://u:p@[2001:db8::7]/d", "u@2001:db8::7:5432/d Require")]
#[case::neon(
    "postgresql://u:p@ep-a-1-pooler.eu-central-1.aws.neon.tech/d?sslmode=require&channel_binding=require",
    "u@ep-a-1-pooler.eu-central-1.aws.neon.tech:5432/d VerifyFull"
)]
#[case::neon_endpoint(
    "postgres://u:p@ep-a-1.neon.tech/d?sslmode=require&options=endpoint%3Dep-a-1",
    "u@ep-a-1.neon.tech:5432/d Require"
)]
#[case::supabase(
    "postgresql://postgres.abcdefgh:p@aws-0-eu-west-3.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
    "postgres.abcdefgh@aws-0-eu-west-3.pooler.supabase.com:6543/postgres Require"
)]
#[case::supabase_by_vercel(
    "postgres://postgres.abc:p@aws-0-eu-west-3.pooler.supabase.com:6543/postgres?sslmode=require&supa=base-pooler.x",
    "postgres.abc@aws-0-eu-west-3.pooler.supabase.com:6543/postgres Require"
)]
#[case::cloud_sql(
    "postgres://u:p@/d?host=/cloudsql/project:region:instance",
    "u@/cloudsql/project:region:instance:5432/d Disable"
)]
#[case::cloud_sql_with_a_host(
    "postgres://u:p@localhost/d?host=/cloudsql/project:region:instance",
    "u@/cloudsql/project:region:instance:5432/d Disable"
)]
#[case::socket_in_the_host(
    "postgres://u@%2Fvar%2Frun%2Fpostgresql/d",
    "u@/var/run/postgresql:5432/d Disable"
)]
#[case::render(
    "postgresql://u:p@dpg-abc-a.frankfurt-postgres.render.com/d",
    "u@dpg-abc-a.frankfurt-postgres.render.com:5432/d Require"
)]
#[case::render_inside("postgresql://u:p@dpg-abc-a/d", "u@dpg-abc-a:5432/d Require")]
#[case::fly(
    "postgres://u:p@app-db.flycast:5432/d?sslmode=disable",
    "u@app-db.flycast:5432/d Disable"
)]
#[case::prisma(
    "postgresql://u:p@db.example.test:5432/d?schema=public&sslaccept=strict",
    "u@db.example.test:5432/d VerifyFull"
)]
#[case::system_roots(
    "postgres://u:p@db.example.test/d?sslmode=verify-full&sslrootcert=system",
    "u@db.example.test:5432/d VerifyFull"
)]
#[case::own_root(
    concat!(
        "postgres://u:p@db.example.test/d?sslmode=require&sslrootcert=",
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/fixtures/tls/ca.pem"
    ),
    "u@db.example.test:5432/d VerifyCa"
)]
#[case::cloud_sql_with_tls(
    "postgres://u:p@/d?host=/cloudsql/project:region:instance&sslmode=require",
    "u@/cloudsql/project:region:instance:5432/d Disable"
)]
#[case::not_less_than_asked_for(
    "postgres://u:p@db.example.test/d?sslmode=verify-full&sslaccept=accept_invalid_certs",
    "u@db.example.test:5432/d VerifyFull"
)]
#[case::writable(
    "postgres://u@h.test/d?target_session_attrs=read-write",
    "u@h.test:5432/d Require"
)]
#[case::in_capitals("postgres://u:p@LOCALHOST/d", "u@LOCALHOST:5432/d Prefer")]
#[case::other_loopback("postgres://u:p@127.0.0.2/d", "u@127.0.0.2:5432/d Prefer")]
#[case::no_loopback("postgres://u:p@db.localhost/d", "u@db.localhost:5432/d Require")]
#[case::fly_inside("postgres://u:p@app.internal/d", "u@app.internal:5432/d Require")]
#[case::raw_at(
    "postgres://u:p@s:s@db.example.test/d",
    "u@db.example.test:5432/d Require"
)]
#[case::empty_password("postgres://u:@db.example.test/d", "u@db.example.test:5432/d Require")]
#[case::encoded(
    "postgres://u:p%40%2F%3A%23%25@db.example.test/d",
    "u@db.example.test:5432/d Require"
)]
#[case::may_be_plain_here(
    "postgres://u:p@localhost/d?sslmode=prefer",
    "u@localhost:5432/d Prefer"
)]
fn a_form_that_works(#[case] url: &str, #[case] expected: &str) {
    assert_eq!(described(url), expected);
}

#[rstest]
#[case::schema("postgres://u:p@db.example.test/d?schema=Hunter2", "parameter schema")]
#[case::unknown(
    "postgres://u:p@db.example.test/d?sslidentity=hunter2",
    "parameter sslidentity"
)]
#[case::password_as_a_parameter(
    "postgres://u@db.example.test/d?password=hunter2",
    "parameter password"
)]
#[case::no_verify("postgres://u:p@db.example.test/d?sslmode=no-verify", "require")]
#[case::mode("postgres://u:p@db.example.test/d?sslmode=hunter2", "sslmode")]
#[case::may_be_plain("postgres://u:p@db.example.test/d?sslmode=prefer", "sslmode=prefer")]
#[case::may_be_plain_too("postgres://u:p@db.example.test/d?sslmode=allow", "sslmode=allow")]
#[case::bound_and_plain(
    "postgres://u:p@db.example.test/d?sslmode=disable&channel_binding=require",
    "at once"
)]
#[case::any_server(
    "postgres://u:p@db.example.test/d?target_session_attrs=standby",
    "target_session_attrs"
)]
#[case::two_servers("postgres://u:p@one.test,two.test/d", "several servers")]
#[case::two_servers_with_ports("postgres://u:p@one.test:1,two.test:2/d", "several servers")]
#[case::two_servers_as_a_parameter("postgres://u:p@/d?host=one.test,two.test", "several servers")]
#[case::raw_at_and_slash("postgres://u:hun@ter/2@db.example.test/d", "percent-encode")]
#[case::raw_slash("postgres://u:hunter/2@db.example.test/d", "percent-encode")]
#[case::raw_question("postgres://u:hunter?2=x@db.example.test/d", "percent-encode")]
#[case::raw_hash("postgres://u:hunter#2@db.example.test/d", "percent-encode")]
#[case::raw_percent("postgres://u:hunter%2@db.example.test/d", "percent-encode")]
#[case::raw_colon_and_slash("postgres://u:12/hunter2@db.example.test/d", "percent-encode")]
#[case::nul("postgres://u:hunter%002@db.example.test/d", "%00")]
#[case::tab("postgres://u:hun\tter2@db.example.test/d", "control character")]
#[case::line("postgres://u:hun\nter2@db.example.test/d", "control character")]
#[case::line_in_a_parameter("postgres://u:p@db.example.test/d?a%0Ab=1", "parameter a\\nb")]
#[case::keywords("host=db.example.test user=u password=hunter2", "must be an address")]
#[case::scheme_in_capitals("POSTGRES://u:hunter2@db.example.test/d", "must be an address")]
#[case::jdbc(
    "jdbc:postgresql://db.example.test/d?password=hunter2",
    "must be an address"
)]
#[case::other_driver("postgresql+asyncpg://u:hunter2@h.test/d", "must be an address")]
#[case::address_beside_the_host(
    "postgres://u:p@db.example.test/d?hostaddr=hunter2",
    "parameter hostaddr"
)]
#[case::switched_on("postgres://u:p@db.example.test/d?ssl=hunter2", "parameter ssl,")]
#[case::no_such_root(
    "postgres://u:p@db.example.test/d?sslrootcert=/no/hunter2.pem",
    "sslrootcert"
)]
#[case::bad_port("postgres://u:p@db.example.test/d?port=hunter2", "must be an address")]
#[case::twice(
    "postgres://u:p@db.example.test/d?sslmode=verify-full&sslmode=disable",
    "parameter sslmode more than once"
)]
#[case::raw_bracket("postgres://u:p@[::1/d", "percent-encode")]
fn a_form_that_is_refused_by_name(#[case] url: &str, #[case] named: &str) {
    for variable in ["DATABASE_URL", "DATABASE_DIRECT_URL"] {
        let wrong = address("postgres://u:p@localhost/d", &[(variable, url)]).unwrap_err();
        let line = wrong.to_string();
        assert!(line.starts_with(&format!("{variable} ")), "{line}");
        assert!(line.contains(named), "{line}");
        assert!(!line.contains("hunter") && !line.contains('\n'), "{line}");
    }
}

#[test]
fn an_authority_is_given_to_be_asked() {
    let pem = include_str!("../fixtures/tls/ca.pem");
    let on_one_line = pem.trim().replace('\n', "\\n");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/tls/ca.pem");
    let several = format!("{pem}\n{pem}");
    for ca in [pem, &on_one_line, file, &several] {
        let ca = [("DATABASE_CA_CERT", ca)];
        let found = address("postgres://u:p@db.example.test/d", &ca).unwrap();
        assert_eq!(format!("{:?}", found.get_ssl_mode()), "VerifyFull");
        assert!(!is_this_machine(&found));
    }
}

#[rstest]
#[case::no_certificate("DATABASE_CA_CERT", "-----BEGIN CERTIFICATE-----hunter2")]
#[case::key(
    "DATABASE_CA_CERT",
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/tls/server.key")
)]
#[case::key_as_text("DATABASE_CA_CERT", include_str!("../fixtures/tls/server.key"))]
#[case::no_file("DATABASE_CA_CERT", "/")]
#[case::no_password("DATABASE_PASSWORD_FILE", "/dev/null")]
#[case::folder("DATABASE_PASSWORD_FILE", "/")]
#[case::without_an_end("DATABASE_PASSWORD_FILE", "/dev/zero")]
#[case::longer_than_any(
    "DATABASE_PASSWORD_FILE",
    concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")
)]
#[case::no_such_certificate("DATABASE_CA_CERT", "/no/such/hunter2.pem")]
#[case::no_such_password("DATABASE_PASSWORD_FILE", "/no/such/hunter2")]
#[case::no_patience("DATABASE_STATEMENT_TIMEOUT_MS", "hunter2")]
fn what_cannot_be_read_is_refused(#[case] variable: &str, #[case] value: &str) {
    assert_refused(&[(variable, Some(value))], variable);
}

/// A password of an address that names no host is one too.
#[test]
fn the_password_of_a_socket_is_hidden_from_the_words_of_others() {
    let url = "postgres://u:a-p%40ssword-of-a-socket@/d?host=/cloudsql/a:b:c";
    Settings::none()
        .with([("DATABASE_URL", url)])
        .hide_secrets();
    for said in ["a-p@ssword-of-a-socket", "a-p%40ssword-of-a-socket"] {
        assert_eq!(ForeignText::new(said).as_str(), "[secret]");
    }
}

/// As Prisma's addresses name it, the schema is what `DATABASE_SCHEMA` says.
#[rstest]
#[case::nowhere("", None, "public")]
#[case::in_the_setting("", Some("jarvis"), "jarvis")]
#[case::in_the_address("?schema=jarvis", None, "jarvis")]
#[case::in_both("?schema=jarvis", Some("jarvis"), "jarvis")]
fn the_schema_is_read(#[case] query: &str, #[case] set: Option<&str>, #[case] schema: &str) {
    let url = format!("postgres://u:p@db.example.test/d{query}");
    let mut settings = Settings::none().with([("DATABASE_URL", &*url)]);
    if let Some(set) = set {
        settings = settings.with([("DATABASE_SCHEMA", set)]);
    }
    let database = settings.database().unwrap();
    assert_eq!(database.terms.schema.name(), schema);
}

#[rstest]
#[case::other_than_the_address("DATABASE_SCHEMA", "jarvis")]
#[case::no_name("DATABASE_SCHEMA", "Jarvis hunter2")]
#[case::empty("DATABASE_SCHEMA", "")]
#[case::other_addresses(
    "DATABASE_DIRECT_URL",
    "postgres://u:p@db.example.test/d?schema=jarvis"
)]
fn schemas_that_disagree_are_refused(#[case] variable: &str, #[case] value: &str) {
    let url = "postgres://u:p@db.example.test/d?schema=public";
    assert_refused(
        &[("DATABASE_URL", Some(url)), (variable, Some(value))],
        variable,
    );
}
