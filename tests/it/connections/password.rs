//! A password that changes while the service lives.

use jarvis_cron::cli::migrate;
use jarvis_cron::config::Settings;
use jarvis_cron::demo::postgres::{Auth, PrivatePostgres, Programs};
use jarvis_cron::foreign_text::ForeignText;

use super::ready;
use super::way::Way;
use crate::app::{App, JOB};
use crate::database::{self, Database};

/// A migrated server that asks for passwords; tests that need one share nothing.
pub(crate) async fn server() -> (PrivatePostgres, Database) {
    let programs = Programs::find(&Settings::from_env()).unwrap();
    let home = database::home();
    let server = PrivatePostgres::start(&programs, &home, Auth::Password)
        .await
        .unwrap();
    let url = server.url("postgres");
    let options = url.parse().unwrap();
    migrate::apply(options, &database::schema()).await.unwrap();
    (server, Database::elsewhere(url.clone(), url))
}

#[tokio::test]
async fn a_password_that_is_replaced_fails_no_delivery() {
    let (server, database) = server().await;
    let file = database::home().join(format!("password-{}", server.port()));
    std::fs::write(&file, "the-first-password\n").unwrap();
    let url = format!("postgres://jarvis@127.0.0.1:{}/postgres", server.port());
    let settings = [
        ("DATABASE_URL", &*url),
        ("DATABASE_PASSWORD_FILE", file.to_str().unwrap()),
    ];
    let app = App::with_database(database, &settings).await;
    app.execute("create role jarvis superuser login password 'the-first-password'")
        .await;
    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));

    for password in ["the-second-password", "the-third-password"] {
        app.execute(&format!("alter role jarvis password '{password}'"))
            .await;
        app.count(KILL).await;
        assert_eq!(
            app.deliver(JOB).await.status,
            503,
            "{password} is not known"
        );
        // Without an end of its line.
        std::fs::write(&file, password).unwrap();
        assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
        let kept = ForeignText::new(&format!("not {password}"));
        assert_eq!(kept.as_str(), "not [secret]");
    }
    // As many are known as before.
    let former = ForeignText::new("the-second-password");
    assert_eq!(former.as_str(), "the-second-password");

    // As in the moment between the two halves of writing it.
    std::fs::write(&file, "").unwrap();
    app.count(KILL).await;
    assert_eq!(ready(&app).await.status, 200, "the last password stays");

    std::fs::remove_file(&file).unwrap();
    app.count(KILL).await;
    assert_eq!(ready(&app).await.status, 200, "the last password stays");
}

/// The file is replaced between its reading and the login.
#[tokio::test]
async fn a_login_that_is_refused_once_fails_no_delivery() {
    let database = Database::new().await;
    let way = Way::to(&database.direct_url).await;
    let file = database::home().join(format!("password-{}", std::process::id()));
    std::fs::write(&file, "a-password").unwrap();
    let settings = [
        ("DATABASE_URL", &*way.url),
        ("DATABASE_PASSWORD_FILE", file.to_str().unwrap()),
    ];
    let app = App::with_database(database, &settings).await;
    way.end_begin("28P01", "password authentication failed");

    assert_eq!(app.deliver(JOB).await.outcome(), (200, "succeeded"));
    assert!(way.has_replaced());
}

const KILL: &str =
    "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'jarvis'";
