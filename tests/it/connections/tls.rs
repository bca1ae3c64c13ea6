//! The way to Postgres over TLS. The certificates were made for these tests, by
//! an authority whose key is gone: `openssl req -x509 … -days 36500`.

use rstest::rstest;

use super::{password, ready};
use crate::app::App;
use crate::cli;
use crate::database::Database;
use crate::processes::until;

const AUTHORITY: &str = include_str!("../fixtures/tls/ca.pem");
const CERTIFICATE: &str = include_str!("../fixtures/tls/server.crt");
const KEY: &str = include_str!("../fixtures/tls/server.key");

/// A database over TLS.
async fn server() -> (impl Drop, Database) {
    let (server, database) = password::server().await;
    let execute = async |statement: &str| {
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement)
            .execute(&database.direct)
            .await
            .unwrap();
    };
    execute(&format!(
        "copy (select unnest(string_to_array('{CERTIFICATE}', e'\\n'))) to program 'cat > server.crt';
         copy (select unnest(string_to_array('{KEY}', e'\\n'))) to program 'umask 077; cat > server.key'",
    ))
    .await;
    for statement in ["alter system set ssl = on", "select pg_reload_conf()"] {
        execute(statement).await;
    }
    let is_on = "select setting = 'on' from pg_settings where name = 'ssl'";
    until("TLS is on", async || {
        sqlx::query_scalar(is_on)
            .fetch_one(&database.direct)
            .await
            .unwrap()
    })
    .await;
    (server, database)
}

#[rstest]
#[case::checked_in_full("?sslmode=verify-full", true, 200)]
#[case::asked_for_nothing_but_given_an_authority("", true, 200)]
#[case::bound_to_its_channel("?channel_binding=require&sslmode=require", true, 200)]
#[case::not_checked("?sslmode=require", false, 200)]
#[case::of_an_authority_that_is_not_known("?sslmode=verify-full", false, 503)]
#[tokio::test]
async fn the_way_is_encrypted_and_checked(
    #[case] parameters: &str,
    #[case] is_known: bool,
    #[case] status: u16,
) {
    let (_server, database) = server().await;
    let url = format!("{}{parameters}", database.url);
    let ca = if is_known { AUTHORITY } else { "" };
    let settings = [("DATABASE_URL", &*url), ("DATABASE_CA_CERT", ca)];
    let app = App::with_database(database, &settings).await;

    let reply = ready(&app).await;

    assert_eq!(reply.status, status, "{reply:?}");
    let over_tls = "select count(*)
                      from pg_stat_ssl s
                      join pg_stat_activity a using (pid)
                     where a.application_name = 'jarvis-cron' and s.ssl";
    let expected = i64::from(status == 200);
    assert_eq!(app.count(over_tls).await, expected);
}

#[rstest]
#[case::of_an_authority_that_is_not_known(true, "verify-full", "set DATABASE_CA_CERT")]
#[case::not_at_all(false, "require", "set sslmode=disable")]
#[tokio::test]
async fn what_the_way_lacks_is_said_with_its_fix(
    #[case] has_tls: bool,
    #[case] mode: &str,
    #[case] fix: &str,
) {
    let (_server, database) = if has_tls {
        let (server, database) = server().await;
        (Some(server), database)
    } else {
        (None, Database::new().await)
    };
    let url = format!("{}?sslmode={mode}", database.direct_url);
    let app = App::with_database(database, &[("DATABASE_URL", &url)]).await;

    for command in [&["doctor", "--json"][..], &["migrate"]] {
        let done = cli::run(&app.settings, command).await;
        assert_ne!(done.code, Some(0), "{done:?}");
        assert!((done.out.clone() + &done.err).contains(fix), "{done:?}");
    }
}

/// The kernel asks a server that is silent whether it lives: `man 5 proc`, the
/// second field of `tr` in `/proc/net/tcp`.
#[tokio::test]
async fn an_idle_connection_over_tls_is_kept_alive() {
    let (_server, database) = server().await;
    let port = url::Url::parse(&database.url).unwrap().port().unwrap();
    let url = format!("{}?sslmode=verify-full", database.url);
    let settings = [("DATABASE_URL", &*url), ("DATABASE_CA_CERT", AUTHORITY)];
    let app = App::with_database(database, &settings).await;

    assert_eq!(ready(&app).await.status, 200);

    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let server = format!(":{port:04X}");
    let kept_alive = sockets.lines().filter(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[2].ends_with(&server) && fields[5].starts_with("02:")
    });
    assert_eq!(kept_alive.count(), 1, "{sockets}");
}
