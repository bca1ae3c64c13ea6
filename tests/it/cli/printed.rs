//! What a terminal is shown of the words of others.

use super::*;

#[tokio::test]
async fn what_the_database_says_turns_no_terminal_around() {
    let app = App::new().await;
    let (server, _) = app.database.direct_url.rsplit_once('/').unwrap();
    let nowhere = format!("{server}/no%1B%5B31m%E2%80%AEsuch%C2%9B");
    let settings = with(&app.settings, &[("DATABASE_URL", &nowhere)]);
    for command in [&["policies", "list"][..], &["run", JOB], &["doctor"]] {
        let done = run(&settings, command).await;
        assert_ne!(done.code, Some(0), "{done:?}");
        let shown = done.err + &done.out;
        assert!(shown.contains("no[31msuch"), "{shown}");
        let is_odd = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(is_odd), "{shown:?}");
    }
}

#[tokio::test]
async fn a_table_shows_what_stands_in_it_and_nothing_else() {
    let app = App::new().await;
    app.execute(
        "update retention_policies
            set legal_basis = U&'as\\001B[31m\\202Eagreed'
          where target = (select min(target) from retention_policies)",
    )
    .await;
    let done = run(&app.settings, &["policies", "list"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.contains("as[31magreed"), "{}", done.out);
}
